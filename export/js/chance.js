// @ts-check
/**
 * The numbers that numpy draws of a seed (`numpy.random.default_rng(seed).random()`), so that an answer by chance is the
 * same in every kit: PCG64 (O'Neill 2014, "PCG", XSL RR 128/64) behind numpy's SeedSequence.
 */

const [WIDE, LONG] = [128, 64];

const MULTIPLIER = 0x2360ed051fc65da44385df649fccf645n;

/** Of SeedSequence, as numpy/random/bit_generator.pyx has them. */
const [INIT_A, MULT_A, INIT_B, MULT_B] = [0x43b0d7e5, 0x931e8875, 0x8b51f9dd, 0x58f38ded];
const [MIX_LEFT, MIX_RIGHT, SHIFT, POOL] = [0xca01f9dd, 0x4973f715, 16, 4];

/** @param {number} value @param {number} factor Both of 32 bits. */
const times = (value, factor) => Math.imul(value, factor) >>> 0;

/** Numbers by chance, always the same of a seed. */
export class Chance {
  /** @param {number} seed A whole number from 0 on. */
  constructor(seed) {
    const [high, low, next, last] = words(seed);
    this.step = BigInt.asUintN(WIDE, (((next << 64n) | last) << 1n) | 1n);
    this.state = 0n;
    this.advance();
    this.state = BigInt.asUintN(WIDE, this.state + ((high << 64n) | low));
    this.advance();
  }

  advance() {
    this.state = BigInt.asUintN(WIDE, this.state * MULTIPLIER + this.step);
  }

  /** @returns {number} From 0 on, below 1. */
  next() {
    this.advance();
    const [mixed, turns] = [(this.state >> 64n) ^ BigInt.asUintN(LONG, this.state), this.state >> 122n];
    const turned = BigInt.asUintN(LONG, (mixed >> turns) | (mixed << ((64n - turns) & 63n)));
    return Number(turned >> 11n) / 2 ** 53;
  }
}

/** Four numbers of 64 bits. @param {number} seed @returns {bigint[]} */
function words(seed) {
  const entropy = seed > 0xffffffff ? [seed % 2 ** 32, Math.floor(seed / 2 ** 32)] : [seed];
  let constant = INIT_A;
  const hashed = (value) => {
    const before = (value ^ constant) >>> 0;
    constant = times(constant, MULT_A);
    const after = times(before, constant);
    return (after ^ (after >>> SHIFT)) >>> 0;
  };
  const mixed = (one, other) => {
    const both = (times(one, MIX_LEFT) - times(other, MIX_RIGHT)) >>> 0;
    return (both ^ (both >>> SHIFT)) >>> 0;
  };
  const pool = Array.from({ length: POOL }, (_, place) => hashed(entropy[place] ?? 0));
  for (let from = 0; from < POOL; from++) {
    for (let to = 0; to < POOL; to++) if (from !== to) pool[to] = mixed(pool[to], hashed(pool[from]));
  }
  let state = INIT_B;
  const halves = Array.from({ length: 2 * POOL }, (_, place) => {
    const before = (pool[place % POOL] ^ state) >>> 0;
    state = times(state, MULT_B);
    const after = times(before, state);
    return BigInt((after ^ (after >>> SHIFT)) >>> 0);
  });
  return Array.from({ length: POOL }, (_, place) => halves[2 * place] | (halves[2 * place + 1] << 32n));
}
