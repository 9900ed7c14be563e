// @ts-check
/** Where a page gets a bundle's files and a person's rows from. */

import { openArchive } from "../js/archive.js";
import { MANIFEST } from "../js/manifest.js";
import { readNetpbm } from "../js/netpbm.js";
import { refused } from "../js/refused.js";
import { isWav, readWav } from "../js/wav.js";

/** Formats that may have opacity, of which a canvas would lose the colours beneath. */
const STRAIGHT = ["image/png", "image/webp"];

/**
 * @param {string | Blob} place An archive's address, a folder's (it ends with a slash), or an archive itself.
 * @returns {Promise<import("../js/bundle.js").Source>}
 */
export async function openPlace(place) {
  if (typeof place === "string" && place.endsWith("/")) return folder(place);
  const blob = typeof place === "string" ? await (await fetched(place)).blob() : place;
  return openArchive({
    size: blob.size,
    slice: async (start, end) => new Uint8Array(await blob.slice(start, end).arrayBuffer()),
  });
}

/** A folder cannot be listed over http: only what the manifest names is looked at. @param {string} address */
async function folder(address) {
  const read = async (name) => new Uint8Array(await (await fetched(new URL(name, address).href, name)).arrayBuffer());
  const manifest = await read(MANIFEST);
  const known = new Map([[MANIFEST, manifest]]);
  const sizes = new Map([[MANIFEST, manifest.length]]);
  let said = {};
  try {
    said = JSON.parse(new TextDecoder().decode(manifest)).files ?? {};
  } catch {
    // What is wrong with it is told by the one who reads it.
  }
  for (const [name, each] of Object.entries(said)) sizes.set(name, each?.length);
  return {
    sizes,
    async read(name) {
      if (!known.has(name)) known.set(name, await read(name));
      return /** @type {Uint8Array} */ (known.get(name));
    },
  };
}

/** @param {string} address @param {string | null} name In the bundle. */
async function fetched(address, name = null) {
  const answer = await fetch(address).catch((error) => {
    throw refused("input", `'${address}' must be fetched, got: ${error.message}`);
  });
  if (!answer.ok)
    throw refused(name ? "missing" : "input", `must be there, got ${answer.status} for '${address}'`, name);
  return answer;
}

/**
 * @param {Blob} file
 * @returns {Promise<import("../js/resize.js").Picture>} Turned as its EXIF says, colours as they stand in it.
 */
export async function picture(file) {
  try {
    return readNetpbm(new Uint8Array(await file.arrayBuffer())) ?? (await straight(file)) ?? (await drawn(file));
  } catch (error) {
    throw refused(
      "input",
      `a picture must be one that this browser reads, got: ${error instanceof Error ? error.message : error}`,
    );
  }
}

/**
 * Without a canvas, which multiplies colours by their opacity; null where the browser has no such decoder.
 *
 * @param {Blob} file
 */
async function straight(file) {
  const Decoder = /** @type {any} */ (globalThis).ImageDecoder;
  if (!Decoder || !STRAIGHT.includes(file.type)) return null;
  const options = {
    type: file.type,
    data: await file.arrayBuffer(),
    premultiplyAlpha: "none",
    colorSpaceConversion: "none",
  };
  const { image } = await new Decoder(options).decode();
  if (!/^(RGB|BGR)[AX]$/.test(image.format)) return null;
  const [width, height] = [image.codedWidth, image.codedHeight];
  const data = new Uint8Array(width * height * 4);
  await image.copyTo(data, { layout: [{ offset: 0, stride: width * 4 }] });
  if (image.format.startsWith("B"))
    for (let at = 0; at < data.length; at += 4) [data[at], data[at + 2]] = [data[at + 2], data[at]];
  return { height, width, channels: 4, data };
}

/** @param {Blob} file */
async function drawn(file) {
  const bitmap = await createImageBitmap(file, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  const { height, width } = bitmap;
  const canvas = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  canvas.drawImage(bitmap, 0, 0);
  return { height, width, channels: 4, data: canvas.getImageData(0, 0, width, height).data };
}

/**
 * @param {Blob} file
 * @param {number} rate That the model reads; what is no WAV file is decoded and resampled to it by the browser.
 * @returns {Promise<import("../js/wav.js").Sound>}
 */
export async function sound(file, rate) {
  const data = await file.arrayBuffer();
  if (isWav(new Uint8Array(data))) return readWav(new Uint8Array(data));
  const found = await new OfflineAudioContext(1, 1, rate).decodeAudioData(data).catch((error) => {
    throw refused("input", `a sound must be one that this browser reads, got: ${error.message}`);
  });
  const samples = new Float64Array(found.length);
  for (let channel = 0; channel < found.numberOfChannels; channel++) {
    found.getChannelData(channel).forEach((value, place) => (samples[place] += value / found.numberOfChannels));
  }
  return { rate: found.sampleRate, samples };
}
