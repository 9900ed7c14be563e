// @ts-check
/** A raw row → what the model reads, by the contract's `preparation`. */

import { array } from "./array.js";
import { audioFeed } from "./audio.js";
import { frameSize } from "./frames.js";
import { imageFeed } from "./image.js";
import { refused } from "./refused.js";
import { Tokenizer } from "./tokenizer.js";

/**
 * @typedef {object} Row One of these, by the kind of preparation.
 * @property {string} [text] @property {import("./resize.js").Picture} [picture] @property {import("./wav.js").Sound} [sound]
 * @property {Record<string, ArrayLike<number>>} [arrays]
 */

/** Kind of preparation → what of a row it takes. */
const ROLES = { text: "text", image: "picture", audio: "sound", arrays: "arrays" };

/**
 * @param {any} contract
 * @returns {string} What a person gives: text, picture, sound or arrays.
 */
export const role = (contract) => (frameSize(contract) ? "sound" : ROLES[contract.preparation.kind]);

/**
 * @param {import("./bundle.js").Bundle} bundle
 * @param {any} library `@huggingface/tokenizers`, or null.
 * @returns {Promise<(row: Row) => import("./array.js").Feeds>}
 */
export async function preparer({ contract, source }, library) {
  const { preparation, inputs } = contract;
  const own = ROLES[preparation.kind];
  if (!own) {
    const known = Object.keys(ROLES).join(", ");
    throw refused("contract", `preparation.kind must be one of ${known} for this kit, got '${preparation.kind}'`, "contract.json");
  }
  const prepare = { text, image, audio, arrays }[preparation.kind];
  const names = inputs.filter((each) => !(each.name in contract.states)).map((each) => each.name);
  const feeds = await prepare(preparation, names, source, library);
  return (row) => {
    if (row[own] === undefined) throw refused("input", `a row must have '${own}', got ${Object.keys(row).join(", ") || "nothing"}`);
    return feeds(row[own]);
  };
}

/** @param {any} preparation @param {string[]} _names @param {import("./bundle.js").Source} source @param {any} library */
async function text(preparation, _names, source, library) {
  const said = JSON.parse(new TextDecoder().decode(await source.read(preparation.tokenizer)));
  const tokenizer = new Tokenizer(said, preparation, library);
  return (value) => {
    const encoding = tokenizer.encode(value);
    const one = ([input, field]) => [input, array("int64", [1, encoding.ids.length], encoding[field])];
    return Object.fromEntries(Object.entries(preparation.fields).map(one));
  };
}

/** @param {any} preparation @param {string[]} names */
const image = (preparation, [name]) => (picture) => ({ [name]: imageFeed(picture, preparation) });

/** @param {any} preparation @param {string[]} names */
const audio = (preparation, [name]) => (sound) => ({ [name]: audioFeed(sound, preparation) });

/** @param {any} preparation */
const arrays = ({ arrays: said }) => (values) =>
  Object.fromEntries(
    Object.entries(said).map(([name, { shape, dtype }]) => {
      if (!values[name]) throw refused("input", `arrays must have '${name}', got ${Object.keys(values).join(", ")}`);
      return [name, array(dtype, [1, ...shape], values[name])];
    }),
  );
