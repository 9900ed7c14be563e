// @ts-check
/** Files → rows: pictures and sounds as the reference decodes them. */

import { readFile } from "node:fs/promises";

import { refused } from "../js/refused.js";
import { readNetpbm } from "../js/netpbm.js";
import { readWav } from "../js/wav.js";

/**
 * @param {string} path Of a picture or a sound.
 * @param {string} role What the model reads.
 * @returns {Promise<import("../js/prepare.js").Row>}
 */
export async function rowOf(path, role) {
  const data = new Uint8Array(await readFile(path).catch((error) => {
    throw refused("input", `--file must be a file that can be read, got '${path}': ${error.code}`);
  }));
  if (role === "text") return { text: new TextDecoder("utf-8", { fatal: true }).decode(data) };
  if (role === "sound") return { sound: readWav(data) };
  if (role === "picture") return { picture: readNetpbm(data) ?? (await decoded(data, path)) };
  throw refused("input", `a model that reads ${role} takes no file, got '${path}'`);
}

/** Turned as its EXIF says, colours as they stand in the file. @param {Uint8Array} data @param {string} path */
async function decoded(data, path) {
  const sharp = (await import("sharp").catch(() => null))?.default;
  if (!sharp) throw refused("input", `a picture must be PPM or PGM where the package sharp is not installed, got '${path}'`);
  try {
    const image = sharp(data, { ignoreIcc: true }).autoOrient();
    const found = await image.raw().toBuffer({ resolveWithObject: true });
    return { ...found.info, data: new Uint8Array(found.data) };
  } catch (error) {
    throw refused("input", `'${path}' must be a picture, got: ${error instanceof Error ? error.message : error}`);
  }
}
