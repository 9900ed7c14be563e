// @ts-check
/** Pictures: pixels → what a model reads (`preparation.kind` image; edgesft/data/media/image.py is the reference). */

import { array, even } from "./array.js";
import { refused } from "./refused.js";
import { resize } from "./resize.js";

/** @typedef {import("./resize.js").Picture} Picture */

const LIMITS = { uint8: [0, 255], int8: [-128, 127] };

/**
 * @param {Picture} picture Decoded, turned as its EXIF says; of 1 channel (grey), 2 (and opacity), 3 or 4 (and
 *   opacity).
 * @param {any} options The contract's `preparation`.
 * @returns {import("./array.js").Array_} With a batch axis of 1.
 */
export function imageFeed(picture, options) {
  const pixels = imagePixels(picture, options);
  const { height, width, channels } = pixels;
  const numbers = normalised(pixels, options);
  if (options.layout === "NHWC") return array(options.dtype, [1, height, width, channels], numbers);
  const size = height * width;
  const planes = new Float32Array(numbers.length);
  for (let place = 0; place < size; place++) {
    for (let channel = 0; channel < channels; channel++)
      planes[channel * size + place] = numbers[place * channels + channel];
  }
  return array(options.dtype, [1, channels, height, width], planes);
}

/**
 * Converted, resized and cut, as whole numbers.
 *
 * @param {Picture} picture @param {any} options
 * @returns {Picture}
 */
export function imagePixels(picture, options) {
  if (picture.width < 1 || picture.height < 1) throw refused("input", "a picture must have pixels, got none");
  let found = converted(picture, options.colour);
  if (options.resize !== null) {
    const [height, width] = target(found.height, found.width, options.resize);
    found = resize(found, height, width, options.resample);
  }
  if (options.crop !== null) found = cut(found, options.crop[0], options.crop[1]);
  return options.colour === "BGR" ? mirrored(found) : found;
}

/**
 * Opacity is dropped; grey is Pillow's: ITU-R 601 with 16 bits behind the point.
 *
 * @param {Picture} picture
 * @param {string} colour
 */
function converted({ height, width, channels, data }, colour) {
  const wanted = colour === "L" ? 1 : 3;
  if (channels === wanted) return { height, width, channels, data };
  const found = new Uint8Array(height * width * wanted);
  for (let place = 0; place < height * width; place++) {
    const at = place * channels;
    if (wanted === 3) {
      for (let channel = 0; channel < 3; channel++) found[place * 3 + channel] = data[channels < 3 ? at : at + channel];
    } else {
      found[place] =
        channels < 3 ? data[at] : (data[at] * 19595 + data[at + 1] * 38470 + data[at + 2] * 7471 + 0x8000) >> 16;
    }
  }
  return { height, width, channels: wanted, data: found };
}

/**
 * Height and width to resize to; the longer side is rounded down.
 *
 * @param {number} height
 * @param {number} width
 * @param {any} wanted
 */
function target(height, width, wanted) {
  if (Array.isArray(wanted)) return wanted;
  const [short, long] = height <= width ? [height, width] : [width, height];
  const other = Math.trunc((wanted * long) / short);
  return height <= width ? [wanted, other] : [other, wanted];
}

/**
 * The centre; what lies outside of the picture becomes black.
 *
 * @param {Picture} picture
 * @param {number} height
 * @param {number} width
 */
function cut(picture, height, width) {
  const { channels, data } = picture;
  const [top, left] = [Math.floor((picture.height - height) / 2), Math.floor((picture.width - width) / 2)];
  const found = new Uint8Array(height * width * channels);
  for (let y = Math.max(0, -top); y < Math.min(height, picture.height - top); y++) {
    const [from, to] = [Math.max(0, left), Math.min(picture.width, left + width)];
    const row = (y + top) * picture.width;
    found.set(data.subarray((row + from) * channels, (row + to) * channels), (y * width + from - left) * channels);
  }
  return { height, width, channels, data: found };
}

/** @param {Picture} picture */
function mirrored(picture) {
  const data = new Uint8Array(picture.data.length);
  for (let at = 0; at < data.length; at += 3)
    for (let channel = 0; channel < 3; channel++) data[at + channel] = picture.data[at + 2 - channel];
  return { ...picture, data };
}

/**
 * Scaled in float64, less mean by deviation in float32, as numpy does it.
 *
 * @param {Picture} picture
 * @param {any} options
 */
function normalised({ channels, data }, { scale, mean, std, dtype }) {
  const [means, stds] = [mean, std]
    .map((each) => each ?? null)
    .map((each) => (each === null ? null : [each].flat().map(Math.fround)));
  const found = new Float32Array(data.length);
  const limits = scale === null && means === null && stds === null && dtype === "uint8" ? null : LIMITS[dtype];
  for (let place = 0; place < data.length; place++) {
    const channel = place % channels;
    let value = scale === null ? data[place] : Math.fround(data[place] * scale);
    if (means) value = Math.fround(value - means[channel % means.length]);
    if (stds) value = Math.fround(value / stds[channel % stds.length]);
    found[place] = limits ? Math.min(limits[1], Math.max(limits[0], even(value))) : value;
  }
  return found;
}
