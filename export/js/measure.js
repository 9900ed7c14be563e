// @ts-check
/**
 * Measures a bundle's model by itself and tells the lines of the measuring protocol (export/PROTOCOL.md), as agent.py
 * does.
 */

import { goldenRows } from "./golden.js";
import { Model } from "./model.js";
import { refused } from "./refused.js";
import { MAIN, parts } from "./variant.js";
import { Writer } from "./writer.js";

const PROTOCOL = 1;

/** Inferences that give the first idea of how long one takes. */
const PROBE = 3;

/** The longest warm-up is cut into so many blocks, and ends when so many successive medians are within this share. */
const WARMUP_BLOCKS = 20;
const STABLE_BLOCKS = 3;
const STABLE_SHARE = 0.02;

/** Tokens of an answer that is measured. */
const ANSWER = 64;

/** A sample lasts at least so many steps of the clock, so that its rounding moves it by a twentieth at most. */
const LEAST_STEPS = 20;

/** What a runtime must tell besides `Runtime`; what the system does not tell is null.
 *
 * @typedef {object} Platform
 * @property {() => number} clock Integer nanoseconds, never going back.
 * @property {number} clockNs The clock's step.
 * @property {() => Promise<any>} machine
 * @property {() => Promise<any>} state
 * @property {() => number | null} peakBytes
 * @property {() => number | null} runtimeBytes
 * @property {(provider: string) => string | null} simulated What stands in for the hardware.
 */

/** The defaults are those of a profile.
 *
 * @typedef {object} Settings
 * @property {number} [samples] Least number of them.
 * @property {number} [seconds] Least time that is spent on them.
 * @property {number} [rounds] That they are spread over.
 * @property {number} [warmupSeconds] Longest warm-up.
 */

/**
 * @param {import("./kit.js").Taken} taken In a process that has loaded no model yet, so that its memory is this one's.
 * @param {import("./kit.js").Runtime & Platform} runtime
 * @param {Settings} settings
 * @returns {AsyncGenerator<Record<string, any>>} Every answer, one after another.
 */
export async function* measure(taken, runtime, { samples = 300, seconds = 5, rounds = 20, warmupSeconds = 5 } = {}) {
  const { bundle, variant } = taken;
  yield {
    op: "info",
    protocol: PROTOCOL,
    runtime: runtime.version,
    build: null,
    providers: runtime.providers,
    broken: {},
    plugins: {},
    machine: await runtime.machine(),
    runtime_bytes: runtime.runtimeBytes(),
    clock_ns: runtime.clockNs,
  };
  yield { op: "state", ...(await runtime.state()) };
  const baseline = runtime.peakBytes();
  const sessions = {};
  let ns = 0;
  // All of them must be there before anything is answered.
  for (const graph of Object.keys(parts(variant))) {
    const made = await runtime.session(taken, graph);
    [sessions[graph], ns] = [made.session, ns + made.ns];
  }
  const session = sessions[MAIN];
  // What is shorter than a step of the clock is told as a step: at most so long.
  const least = (ns) => Math.max(ns, runtime.clockNs);
  yield { op: "load", load_ns: least(ns), ...loaded(taken, session, runtime) };
  const { sha256, length } = bundle.manifest.files[variant.file];
  yield { op: "model", name: variant.file.split("/").at(-1), bytes: length, sha256 };
  const states = bundle.contract.states;
  if (Object.keys(states).length) yield { op: "feedback", count: Object.keys(states).length, states };

  const rows = goldenRows(bundle.golden, variant.golden);
  const settings = { samples, seconds, rounds, warmupSeconds };
  if (bundle.contract.decoding.kind === "generation") {
    const writer = new Writer(runtime.ort, sessions, bundle.contract, () => "", runtime.clock);
    const prompts = rows.map(({ inputs }) => Array.from(Object.values(inputs)[0].data, Number));
    yield* said(writer, prompts, settings, least);
  } else {
    if (Object.keys(sessions).length > 1)
      throw refused("input", "a model must be one graph to be measured so, or answer token by token, got several");
    yield* inferred(
      new Series(new Model(runtime.ort, sessions, variant, bundle.contract), runtime, rows),
      settings,
      least,
    );
  }
  yield { op: "memory", peak_bytes: runtime.peakBytes(), baseline_bytes: baseline };
  yield { op: "state", ...(await runtime.state()) };
  for (const each of Object.values(sessions)) await each.release();
}

/**
 * Inferences, each an answer.
 *
 * @param {Series} series @param {{ samples: number, seconds: number, rounds: number, warmupSeconds: number }} settings
 * @param {(ns: number) => number} least
 */
async function* inferred(series, { samples, seconds, rounds, warmupSeconds }, least) {
  yield { op: "first", ns: least(await series.first()) };
  const warm = await series.warmUp(warmupSeconds);
  yield { op: "warm_up", ...warm };
  const batch = Math.max(1, Math.ceil((LEAST_STEPS * series.clockNs) / Math.max(1, warm.typical_ns)));
  const share = (seconds * 1e9) / rounds;
  const count = Math.max(Math.ceil(samples / rounds), Math.ceil(share / Math.max(1, warm.typical_ns) / batch));
  for (let round = 0; round < rounds; round++) {
    const ns = await series.time(count, round * count, batch);
    yield { op: "time", ns, energy_uj: null, ...(batch > 1 ? { batch } : {}) };
  }
}

/**
 * Answers token by token: of each round the time from a prompt to its first token (`opening`), and those of the tokens
 * after it.
 *
 * @param {Writer} writer @param {number[][]} prompts @param {Required<Settings>} settings
 * @param {(ns: number) => number} least
 */
async function* said(writer, prompts, { samples, seconds, rounds, warmupSeconds }, least) {
  const sum = (values) => values.reduce((all, each) => all + each, 0);
  yield { op: "first", ns: least((await writer.pace(prompts[prompts.length >> 1], 1))[0]) };
  const open = [];
  for (const prompt of prompts) if ((await writer.pace(prompt, 2)).length > 1) open.push(prompt);
  if (open.length === 0)
    throw refused("input", "a prompt must leave room for two tokens to be measured, got none that does");
  const medians = [];
  let [spent, count] = [0, 0];
  while (spent < warmupSeconds * 1e9 && !steady(medians)) {
    const times = [];
    for (const prompt of open) times.push(...(await writer.pace(prompt, ANSWER)));
    medians.push(median(times));
    [spent, count] = [spent + Math.max(1, sum(times)), count + times.length];
  }
  yield { op: "warm_up", samples: count, stable: steady(medians), typical_ns: least(medians.at(-1) ?? 0) };
  for (let round = 0, place = 0; round < rounds; round++) {
    const [first, steps] = [/** @type {number[]} */ ([]), /** @type {number[]} */ ([])];
    while (steps.length < samples / rounds || sum(first) + sum(steps) < (seconds * 1e9) / rounds) {
      const [opening, ...after] = await writer.pace(open[place++ % open.length], ANSWER);
      first.push(least(opening));
      steps.push(...after.map(least));
    }
    yield { op: "opening", ns: first };
    yield { op: "time", ns: steps, energy_uj: null };
  }
}

/** Whether a warm-up may end. @param {number[]} medians */
function steady(medians) {
  const recent = medians.slice(-STABLE_BLOCKS);
  return recent.length === STABLE_BLOCKS && Math.max(...recent) <= (1 + STABLE_SHARE) * Math.min(...recent);
}

/** @param {import("./kit.js").Taken} taken @param {any} session @param {Platform} runtime */
function loaded({ variant, provider, threads }, session, runtime) {
  const described = (said) => said.map(({ name, type, shape }) => ({ name, dtype: type, shape }));
  return {
    provider,
    threads,
    placement: null,
    partitions: null,
    left: null,
    simulated: runtime.simulated(provider),
    fixed: Object.keys(variant.fixed).length ? JSON.stringify(variant.fixed) : null,
    inputs: described(session.inputMetadata),
    outputs: described(session.outputMetadata),
  };
}

/** Inferences of the same requests, one after another. */
class Series {
  /** @param {Model} model @param {Platform} runtime @param {import("./golden.js").Row[]} rows */
  constructor(model, runtime, rows) {
    this.session = model.session;
    this.clock = runtime.clock;
    this.clockNs = runtime.clockNs;
    this.states = Object.entries(model.contract.states);
    // Made before the clock is read: an application has its inputs in a tensor, too.
    this.requests = rows.map((row) => model.tensors(row.inputs));
  }

  /** @returns {Promise<number>} Nanoseconds of one inference of the middle request. */
  async first() {
    return (await this.time(1, Math.floor(this.requests.length / 2)))[0];
  }

  /**
   * @param {number} count Of samples.
   * @param {number} from Which request is the first one.
   * @param {number} batch Inferences of a sample, which is their mean.
   * @returns {Promise<number[]>} Nanoseconds. States start with the first request's own and go from one to the next.
   */
  async time(count, from = 0, batch = 1) {
    const { clock, session, states, requests } = this;
    const samples = [];
    let carried = {};
    for (let sample = 0; sample < count; sample++) {
      const feeds = Array.from(
        { length: batch },
        (_, place) => requests[(from + sample * batch + place) % requests.length],
      );
      const began = clock();
      for (const own of feeds) {
        const outputs = await session.run(states.length ? { ...own, ...carried } : own);
        if (states.length) carried = Object.fromEntries(states.map(([input, output]) => [input, outputs[output]]));
      }
      samples.push(Math.round((clock() - began) / batch));
    }
    return samples;
  }

  /** Blocks of the same requests until their medians agree, or the time is up. @param {number} seconds */
  async warmUp(seconds) {
    const typical = median(await this.time(PROBE));
    const limit = seconds * 1e9;
    const block = Math.max(PROBE, Math.floor(limit / WARMUP_BLOCKS / Math.max(1, typical)));
    const medians = [typical];
    let [samples, spent, stable] = [PROBE, 0, false];
    while (spent < limit && !stable) {
      const began = this.clock();
      // One after another as they will be timed: a coarse clock sees a block better than an inference.
      const taken = await this.time(block, 0);
      const all = this.clock() - began;
      [samples, spent] = [samples + block, spent + Math.max(1, all)];
      medians.push(median(taken) || Math.round(all / block));
      stable = steady(medians.slice(1));
    }
    return { samples, stable, typical_ns: medians.at(-1) };
  }
}

/** @param {number[]} values */
function median(values) {
  const sorted = [...values].sort((one, other) => one - other);
  const middle = sorted.length >> 1;
  return Math.trunc(sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2);
}
