// @ts-check
/** Sounds: samples → what a model reads (`preparation.kind` audio; edgesft/data/media/audio.py is the reference). */

import { array, even } from "./array.js";
import { Fourier, bands, cosines, dot } from "./spectrum.js";

/** Zero crossings of the sinc on either side, and the shape of the Kaiser window over it. */
const TAPS = 16;
const BETA = 8;

/** Added to a deviation that is divided by: silence stays 0. */
const LEAST = { mel: 1e-3, none: 1e-7 };

/**
 * @param {import("./wav.js").Sound} sound
 * @param {any} options The contract's `preparation`.
 * @returns {import("./array.js").Array_} float32: [1, samples], or [1, 1, frames, bands].
 */
export function audioFeed(sound, options) {
  const samples = window(resampled(sound.samples, sound.rate, options.rate), options);
  if (options.features === "none") {
    const found = Float64Array.from(samples);
    if (options.normalise) normalise([found], LEAST.none);
    return array("float32", [1, found.length], Float32Array.from(found));
  }
  const columns = features(samples, options);
  if (options.normalise) normalise(columns, LEAST.mel);
  const [frames, width] = [columns[0].length, columns.length];
  const data = new Float32Array(frames * width);
  for (let frame = 0; frame < frames; frame++)
    for (let column = 0; column < width; column++) data[frame * width + column] = columns[column][frame];
  return array("float32", [1, 1, frames, width], data);
}

/**
 * As many seconds as the model reads, silence behind or around what is shorter.
 *
 * @param {Float64Array} samples
 * @param {any} options
 */
function window(samples, { seconds, rate, window: where }) {
  const count = even(seconds * rate);
  const lacking = count - samples.length;
  const found = new Float32Array(count);
  if (lacking > 0) found.set(samples, where === "centre" ? Math.floor(lacking / 2) : 0);
  else {
    const start = where === "centre" ? Math.floor(-lacking / 2) : 0;
    found.set(samples.subarray(start, start + count));
  }
  return found;
}

/**
 * Logarithms of the bands, or their cepstrum: a column each, of all frames.
 *
 * @param {Float32Array} samples
 * @param {any} options
 */
function features(samples, { rate, frame, hop, mels, low, high, floor, coefficients }) {
  const [size, step] = [even(frame * rate), even(hop * rate)];
  const fft = 2 ** Math.ceil(Math.log2(size));
  const fourier = new Fourier(fft);
  const hann = Float64Array.from({ length: size }, (_, place) => 0.5 - 0.5 * Math.cos((2 * Math.PI * place) / size));
  const own = bands(rate, fft, mels, low, high || rate / 2);
  const waves = coefficients === null ? null : cosines(mels, coefficients);
  const frames = 1 + Math.floor((samples.length - size) / step);
  const columns = Array.from({ length: coefficients ?? mels }, () => new Float64Array(frames));
  const part = new Float64Array(size);
  for (let number = 0; number < frames; number++) {
    for (let place = 0; place < size; place++) part[place] = samples[number * step + place] * hann[place];
    const power = fourier.power(part);
    const logarithms = Float64Array.from(own, (band) => Math.log(Math.max(dot(power, band), floor)));
    columns.forEach((column, place) => (column[number] = waves ? dot(logarithms, waves[place]) : logarithms[place]));
  }
  return columns;
}

/** Mean 0 and deviation 1 of each column, in place. @param {Float64Array[]} columns @param {number} least */
function normalise(columns, least) {
  for (const column of columns) {
    const mean = column.reduce((sum, each) => sum + each, 0) / column.length;
    const deviation = Math.sqrt(column.reduce((sum, each) => sum + (each - mean) ** 2, 0) / column.length);
    column.forEach((each, place) => (column[place] = (each - mean) / (deviation + least)));
  }
}

/**
 * The same sound at another rate, by a windowed sinc (Smith, "Digital Audio Resampling", 1984).
 *
 * @param {Float64Array} samples @param {number} rate Of these. @param {number} wanted Of what is returned.
 */
export function resampled(samples, rate, wanted) {
  if (rate === wanted) return samples;
  const divisor = common(rate, wanted);
  const [up, down] = [wanted / divisor, rate / divisor];
  const cutoff = Math.min(1, up / down);
  const reach = Math.ceil(TAPS / cutoff);
  const found = new Float64Array(Math.ceil((samples.length * up) / down));
  for (let phase = 0; phase < Math.min(up, found.length); phase++) {
    const weights = sinc(reach, cutoff, ((phase * down) % up) / up);
    for (let place = phase; place < found.length; place += up) {
      const middle = Math.floor((place * down) / up);
      const [first, last] = [Math.max(0, reach - middle), Math.min(2 * reach, samples.length - 1 - middle + reach)];
      let sum = 0;
      for (let tap = first; tap <= last; tap++) sum += samples[middle - reach + tap] * weights[tap];
      found[place] = sum;
    }
  }
  return found;
}

/**
 * @param {number} reach
 * @param {number} cutoff
 * @param {number} fraction Of a sample, by which the middle lies behind a tap.
 */
function sinc(reach, cutoff, fraction) {
  return Float64Array.from({ length: 2 * reach + 1 }, (_, tap) => {
    const distance = tap - reach - fraction;
    if (Math.abs(distance) > reach) return 0;
    const turn = Math.PI * cutoff * distance;
    const inside = Math.sqrt(1 - (distance / reach) ** 2);
    return (cutoff * (turn === 0 ? 1 : Math.sin(turn) / turn) * bessel(BETA * inside)) / bessel(BETA);
  });
}

/** Modified, of the first kind and order 0, by its power series. @param {number} x */
function bessel(x) {
  let [sum, term] = [1, 1];
  for (let k = 1; term > sum * 1e-17; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

/** The greatest divisor of both. @param {number} one @param {number} other @returns {number} */
const common = (one, other) => (other === 0 ? one : common(other, one % other));
