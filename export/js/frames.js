// @ts-check
/** Sound as it comes: frames that overlap, and what is made of the answers to them (export/BUNDLE.md, "Frames"). */

import { Fourier } from "./spectrum.js";

/**
 * @typedef {object} Said Of a preparation or a decoding of kind `frames`.
 * @property {number} window @property {number} hop In samples. @property {"none" | "sqrt-hann"} taper
 * @property {"samples" | "spectrum"} features @property {number} [gain] Of a decoding.
 */

/** Makes a frame of each `hop` new samples. */
export class Framer {
  /** @param {Said} said Nothing was heard before. */
  constructor(said) {
    this.hop = said.hop;
    this.taper = taper(said);
    this.heard = new Float64Array(said.window);
    this.fourier = said.features === "spectrum" ? new Fourier(said.window) : null;
  }

  /**
   * @param {ArrayLike<number>} samples `hop` of them.
   * @returns {Float32Array} The next frame: `window` numbers, or of each frequency the real and the imaginary part.
   */
  next(samples) {
    this.heard.copyWithin(0, this.hop);
    this.heard.set(samples, this.heard.length - this.hop);
    const tapered = this.heard.map((value, place) => value * this.taper[place]);
    if (!this.fourier) return Float32Array.from(tapered);
    const imaginary = new Float64Array(tapered.length);
    this.fourier.transform(tapered, imaginary);
    const size = (tapered.length >> 1) + 1;
    return Float32Array.from({ length: 2 * size }, (_, place) => (place % 2 ? imaginary : tapered)[place >> 1]);
  }
}

/** Makes sound of answers that overlap. */
export class Adder {
  /** @param {Said} said */
  constructor(said) {
    this.hop = said.hop;
    this.gain = said.gain ?? 1;
    this.taper = taper(said);
    this.sum = new Float64Array(said.window);
    this.fourier = said.features === "spectrum" ? new Fourier(said.window) : null;
  }

  /**
   * @param {ArrayLike<number>} frame What the model answered to the next frame.
   * @returns {Float32Array} `hop` samples that are complete, `window` - `hop` behind what was heard last.
   */
  next(frame) {
    const samples = this.fourier ? this.fourier.inverse(frame) : frame;
    for (let place = 0; place < this.sum.length; place++) this.sum[place] += samples[place] * this.taper[place];
    const done = Float32Array.from(this.sum.subarray(0, this.hop), (value) => value / this.gain);
    this.sum.copyWithin(0, this.hop);
    this.sum.fill(0, this.sum.length - this.hop);
    return done;
  }
}

/** What a frame is multiplied by. @param {Said} said */
function taper({ window, taper: name }) {
  return Float64Array.from({ length: window }, (_, place) =>
    name === "none" ? 1 : Math.sin((Math.PI * place) / window),
  );
}
