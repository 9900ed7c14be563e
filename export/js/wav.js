// @ts-check
/**
 * Reads WAV files (RIFF, Microsoft's "Multimedia Programming Interface" 1.0): samples from -1 to 1 as soundfile gives
 * them.
 */

import { refused } from "./refused.js";

const PCM = 1;
const FLOAT = 3;
const EXTENSIBLE = 0xfffe;

/** Format and bits of a sample → how to read one. @type {Record<string, (view: DataView, at: number) => number>} */
const READERS = {
  "1/8": (view, at) => (view.getUint8(at) - 128) / 2 ** 7,
  "1/16": (view, at) => view.getInt16(at, true) / 2 ** 15,
  "1/24": (view, at) => (view.getUint16(at, true) | (view.getInt8(at + 2) << 16)) / 2 ** 23,
  "1/32": (view, at) => view.getInt32(at, true) / 2 ** 31,
  "3/32": (view, at) => view.getFloat32(at, true),
  "3/64": (view, at) => view.getFloat64(at, true),
};

/**
 * @typedef {object} Sound
 * @property {number} rate Samples a second.
 * @property {Float64Array} samples Its channels averaged.
 */

/** @param {Uint8Array} data @returns {boolean} Whether it looks like a WAV file. */
export const isWav = (data) => data.length >= 12 && tag(data, 0) === "RIFF" && tag(data, 8) === "WAVE";

/**
 * @param {Uint8Array} data What the file holds.
 * @returns {Sound}
 */
export function readWav(data) {
  if (!isWav(data)) throw wrong(`a RIFF file of type WAVE, got one that begins with '${tag(data, 0)}'`);
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  let format = null;
  for (let at = 12; at + 8 <= data.length;) {
    const [name, size, start] = [tag(data, at), view.getUint32(at + 4, true), at + 8];
    if (name === "fmt ") format = readFormat(view, start, size);
    if (name === "data") {
      if (!format) throw wrong("one that says its format before its samples");
      return readSamples(view, start, Math.min(size, data.length - start), format);
    }
    at = start + size + (size % 2);
  }
  throw wrong("one with samples, got none: it is cut short");
}

/** @param {DataView} view @param {number} at @param {number} size */
function readFormat(view, at, size) {
  if (size < 16 || at + size > view.byteLength) throw wrong("one with a whole format, got it cut short");
  const said = view.getUint16(at, true);
  const code = said === EXTENSIBLE && size >= 26 ? view.getUint16(at + 24, true) : said;
  const [channels, rate, bits] = [
    view.getUint16(at + 2, true),
    view.getUint32(at + 4, true),
    view.getUint16(at + 14, true),
  ];
  const read = READERS[`${code}/${bits}`];
  if (!read || channels < 1 || rate < 1) {
    const kind = { [PCM]: "whole numbers", [FLOAT]: "floats" }[code] ?? `format ${code}`;
    throw wrong(
      `8 to 32 bits of whole numbers or 32 or 64 of floats, got ${channels} channels of ${bits} bits (${kind}) at ${rate} Hz`,
    );
  }
  return { read, channels, rate, bytes: bits / 8 };
}

/**
 * @param {DataView} view
 * @param {number} at
 * @param {number} size
 * @param {ReturnType<typeof readFormat>} format
 * @returns {Sound}
 */
function readSamples(view, at, size, { read, channels, rate, bytes }) {
  const samples = new Float64Array(Math.floor(size / (bytes * channels)));
  for (let place = 0; place < samples.length; place++) {
    let sum = 0;
    for (let channel = 0; channel < channels; channel++) sum += read(view, at + (place * channels + channel) * bytes);
    samples[place] = sum / channels;
  }
  return { rate, samples };
}

/**
 * @param {Float32Array} samples @param {number} rate
 * @returns {Uint8Array} A WAV file of one channel, floats of 32 bits.
 */
export function writeWav(samples, rate) {
  const data = new Uint8Array(44 + 4 * samples.length);
  const view = new DataView(data.buffer);
  data.set(Array.from("RIFF    WAVEfmt ", (letter) => letter.charCodeAt(0)));
  data.set(
    Array.from("data", (letter) => letter.charCodeAt(0)),
    36,
  );
  const said = [
    [4, data.length - 8],
    [16, 16],
    [20, FLOAT | (1 << 16)],
    [24, rate],
    [28, 4 * rate],
    [32, 4 | (32 << 16)],
    [40, 4 * samples.length],
  ];
  for (const [at, value] of said) view.setUint32(at, value, true);
  samples.forEach((value, place) => view.setFloat32(44 + 4 * place, value, true));
  return data;
}

/** @param {Uint8Array} data @param {number} at */
const tag = (data, at) => String.fromCharCode(...data.subarray(at, at + 4));

/** @param {string} what */
const wrong = (what) => refused("input", `a sound must be a WAV file: ${what}`);
