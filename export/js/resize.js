// @ts-check
/**
 * Resizes 8-bit pictures as Pillow 13 does, to the last bit: two passes with weights of 22 bits behind the point
 * (Pillow's src/libImaging/Resample.c), and for `nearest` the pixel in which a centre falls (Geometry.c).
 */

/** Bits behind the point of a weight: 32 less 8 of a pixel and 2 for sums beyond white. */
const PRECISION = 22;

/** Pillow has them in single precision. */
const HAMMING = [0.54, 0.46].map(Math.fround);

const sinc = (x) => (x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI));

/**
 * Name → how far a filter reaches, and what it weighs a distance with.
 *
 * @type {Record<string, [number, (x: number) => number]>}
 */
const FILTERS = {
  box: [0.5, (x) => (x > -0.5 && x <= 0.5 ? 1 : 0)],
  bilinear: [1, (x) => Math.max(0, 1 - Math.abs(x))],
  hamming: [1, (x) => (Math.abs(x) >= 1 ? 0 : sinc(x) * (HAMMING[0] + HAMMING[1] * Math.cos(x * Math.PI)))],
  bicubic: [2, cubic],
  lanczos: [3, (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0)],
};

/** Keys' kernel with a = -0.5. @param {number} distance */
function cubic(distance) {
  const a = -0.5;
  const x = Math.abs(distance);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

/**
 * @typedef {object} Picture
 * @property {number} height @property {number} width @property {number} channels
 * @property {Uint8Array | Uint8ClampedArray} data Row by row, a pixel's channels together.
 */

/**
 * @param {Picture} picture
 * @param {number} height @param {number} width To which.
 * @param {string} resample Pillow's name of the filter, in lower case.
 * @returns {Picture}
 */
export function resize(picture, height, width, resample) {
  if (resample === "nearest") return nearest(picture, height, width);
  const across = (found) =>
    width === found.width ? found : pass(found, weights(found.width, width, resample), width, true);
  const down = (found) =>
    height === found.height ? found : pass(found, weights(found.height, height, resample), height, false);
  return downFirst(picture, height, width) ? across(down(picture)) : down(across(picture));
}

/**
 * In which order Pillow 13 takes the passes, as found by trying; it decides which way a half is rounded.
 *
 * @param {Picture} picture @param {number} height @param {number} width
 */
const downFirst = (picture, height, width) =>
  height < picture.height && picture.height - height > 2 * (picture.width - width);

/**
 * One pass, over the rows or over the columns.
 *
 * @param {Picture} picture @param {{ first: number, own: Int32Array }[]} found @param {number} size @param {boolean}
 *   across
 * @returns {Picture}
 */
function pass(picture, found, size, across) {
  const { channels, data } = picture;
  const [height, width] = across ? [picture.height, size] : [size, picture.width];
  const target = new Uint8Array(height * width * channels);
  const step = across ? channels : picture.width * channels;
  let place = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const { first, own } = found[across ? x : y];
      const start = across ? (y * picture.width + first) * channels : (first * picture.width + x) * channels;
      for (let channel = 0; channel < channels; channel++, place++) {
        let sum = 1 << (PRECISION - 1);
        for (let tap = 0; tap < own.length; tap++) sum += data[start + channel + tap * step] * own[tap];
        target[place] = Math.min(255, Math.max(0, sum >> PRECISION));
      }
    }
  }
  return { height, width, channels, data: target };
}

/**
 * Which points of a line each new one is made of, and with what weights.
 *
 * @param {number} before
 * @param {number} after
 * @param {string} resample
 */
function weights(before, after, resample) {
  const [reach, filter] = FILTERS[resample];
  const scale = before / after;
  const wide = Math.max(scale, 1);
  const support = reach * wide;
  return Array.from({ length: after }, (_, place) => {
    const centre = (place + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - support + 0.5));
    const last = Math.min(before, Math.trunc(centre + support + 0.5));
    const raw = Array.from({ length: last - first }, (_, tap) => filter((tap + first - centre + 0.5) * (1 / wide)));
    const all = raw.reduce((sum, each) => sum + each, 0);
    const whole = raw.map((each) => {
      const weight = (all === 0 ? each : each / all) * 2 ** PRECISION;
      return Math.trunc(weight + (weight < 0 ? -0.5 : 0.5));
    });
    return { first, own: Int32Array.from(whole) };
  });
}

/** @param {Picture} picture @param {number} height @param {number} width @returns {Picture} */
function nearest(picture, height, width) {
  const { channels, data } = picture;
  const [rows, columns] = [middles(picture.height, height), middles(picture.width, width)];
  const target = new Uint8Array(height * width * channels);
  let place = 0;
  for (const row of rows) {
    for (const column of columns) {
      const from = (row * picture.width + column) * channels;
      for (let channel = 0; channel < channels; channel++) target[place++] = data[from + channel];
    }
  }
  return { height, width, channels, data: target };
}

/**
 * In which points the middles of the new ones fall; summed up one by one, for so Pillow rounds.
 *
 * @param {number} before
 * @param {number} after
 */
function middles(before, after) {
  const scale = before / after;
  let at = scale * 0.5;
  return Array.from({ length: after }, () => {
    const found = Math.min(before - 1, Math.trunc(at));
    at += scale;
    return found;
  });
}
