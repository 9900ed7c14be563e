// @ts-check
/** What a command line gives → rows: pictures and sounds as the reference decodes them. */

import { readFile } from "node:fs/promises";

import { readNetpbm } from "../js/netpbm.js";
import { refused } from "../js/refused.js";
import { readWav } from "../js/wav.js";

/** Kinds of preparation whose rows are JSON. */
const WRITTEN = ["text", "words", "text-pair", "conversation"];

/**
 * @param {any} contract
 * @param {{ text?: string[], question?: string, system?: string, file?: string[] }} given
 * @returns {AsyncGenerator<import("../js/prepare.js").Row>}
 */
export async function* rows({ preparation, states }, { text = [], question, system, file = [] }) {
  const { kind, columns } = preparation;
  if (text.length > 0 && !WRITTEN.includes(kind)) {
    throw refused("input", `--text must be given to a bundle that reads text, got one that reads ${kind}: --file`);
  }
  if ((question !== undefined) !== (text.length > 0 && kind === "text-pair")) {
    throw refused("input", `--question must come with a passage, and with it alone; this bundle reads ${kind}`);
  }
  const spoken = kind === "conversation" && columns[0] !== "text";
  if (spoken) for (const prompt of text) yield system === undefined ? { prompt } : { prompt, system };
  for (const each of spoken ? [] : text)
    yield question === undefined ? { [columns[0]]: each } : { [columns[0]]: question, [columns[1]]: each };
  for (const path of file) {
    const data = await contents(path);
    if (WRITTEN.includes(kind)) yield* lines(data, path);
    else if (kind === "image") yield { [columns[0]]: readNetpbm(data) ?? (await decoded(data, path)) };
    else if (kind === "arrays" && !path.endsWith(".wav")) yield* lines(data, path);
    else if (kind === "arrays" && (columns.length > 1 || Object.keys(states).length === 0)) {
      throw refused(
        "input",
        `a sound must be given to a bundle that reads it, got '${path}' for ${columns.join(", ")}`,
      );
    } else yield { [columns[0]]: readWav(data) };
  }
}

/** @param {string} path */
async function contents(path) {
  try {
    return new Uint8Array(await readFile(path));
  } catch (error) {
    throw refused("input", `--file must be a file that can be read, got '${path}': ${/** @type {any} */ (error).code}`);
  }
}

/** @param {Uint8Array} data @param {string} path */
function* lines(data, path) {
  const text = new TextDecoder().decode(data);
  for (const line of text.split("\n").filter((each) => each.trim())) {
    try {
      yield JSON.parse(line);
    } catch (error) {
      throw refused(
        "input",
        `--file must be rows as JSON lines, got '${path}': ${/** @type {Error} */ (error).message}`,
      );
    }
  }
}

/** Turned as its EXIF says, colours as they stand in the file. @param {Uint8Array} data @param {string} path */
async function decoded(data, path) {
  const sharp = (await import("sharp").catch(() => null))?.default;
  if (!sharp)
    throw refused("input", `a picture must be PPM or PGM where the package sharp is not installed, got '${path}'`);
  try {
    const image = sharp(data, { ignoreIcc: true }).autoOrient();
    const found = await image.raw().toBuffer({ resolveWithObject: true });
    return { ...found.info, data: new Uint8Array(found.data) };
  } catch (error) {
    throw refused("input", `'${path}' must be a picture, got: ${error instanceof Error ? error.message : error}`);
  }
}
