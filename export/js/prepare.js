// @ts-check
/** A raw row → the model's inputs, by the contract's `preparation` (export/BUNDLE.md). */

import { array } from "./array.js";
import { audioFeed, resampled } from "./audio.js";
import { split } from "./blanks.js";
import { conversation, worded } from "./conversation.js";
import { Framer } from "./frames.js";
import { imageFeed } from "./image.js";
import { ofKind } from "./kinds.js";
import { refused } from "./refused.js";
import { Tokenizer } from "./tokenizer.js";

/**
 * @typedef {Record<string, any>} Row By the contract's columns: text, lists of words, a `Picture`, a `Sound`, numbers.
 *
 * @typedef {object} Request One inference.
 * @property {import("./array.js").Feeds} feeds With a batch axis of 1, without the states.
 * @property {any} [details] What decoding must know of it besides.
 *
 * @typedef {(row: Row) => Iterable<Request>} Preparation
 */

const KINDS = {
  text: texts,
  words: texts,
  "text-pair": texts,
  conversation: conversations,
  image: images,
  audio: sounds,
  frames,
  arrays,
};

/**
 * @param {import("./bundle.js").Bundle} bundle
 * @param {any} library `@huggingface/tokenizers`, or null.
 * @returns {Promise<Preparation>}
 */
export async function preparation(bundle, library) {
  const { contract, source } = bundle;
  const said = contract.preparation;
  const requests = await ofKind(contract, "preparation", KINDS)(said, contract, source, library);
  // A conversation has one of several columns.
  if (said.kind === "conversation") return requests;
  return (row) => {
    const lacking = said.columns.find((column) => row[column] === undefined);
    if (lacking)
      throw refused("input", `a row must have '${lacking}', got ${Object.keys(row).join(", ") || "nothing"}`);
    return requests(...said.columns.map((column) => row[column]));
  };
}

/** @param {any} said @param {any} contract @returns {string} The first input that is no state. */
const inputOf = (said, { inputs, states }) => said.input ?? inputs.find((each) => !(each.name in states)).name;

/**
 * Texts, and lists of words.
 *
 * @param {any} said
 * @param {any} contract
 * @param {import("./bundle.js").Source} source
 * @param {any} library
 */
async function texts(said, contract, source, library) {
  const generates = contract.decoding.kind === "generation";
  // What is to be answered in words is refused where it would be cut: it would be another question.
  const most = generates ? said.max_length : Infinity;
  const tokenizer = await tokenizerOf(generates ? { ...said, max_length: Infinity } : said, source, library);
  const feeds = (encoding) =>
    Object.fromEntries(
      Object.entries(said.fields).map(([input, field]) => [
        input,
        array("int64", [1, encoding.ids.length], encoding[field]),
      ]),
    );
  const plain = (text) => {
    if (typeof text === "string") return text;
    throw refused("input", `a text must be text, got ${typeof text}`);
  };
  const kinds = {
    *text(text) {
      if (generates) worded(text);
      const encoding = tokenizer.encode((said.prefix ?? "") + plain(text));
      if (encoding.ids.length > most)
        throw refused("input", `a prompt must be at most ${most} tokens, as in training, got ${encoding.ids.length}`);
      yield { feeds: feeds(encoding) };
    },
    *words(value) {
      const words = typeof value === "string" ? split(value) : value.map(String);
      const encoding = tokenizer.encodeWords(words);
      const places = words.map((_, word) => encoding.tokens.findIndex((token) => token.word === word));
      yield { feeds: feeds(encoding), details: { places } };
    },
    *"text-pair"(question, passage) {
      for (const encoding of tokenizer.windows(plain(question), plain(passage))) {
        const covered = encoding.tokens.map((token, place) => (encoding.texts[place] === 1 ? token : null));
        yield { feeds: feeds(encoding), details: { covered, passage } };
      }
    },
  };
  return kinds[said.kind];
}

/**
 * The tokenizer that the contract names.
 *
 * @param {any} said
 * @param {import("./bundle.js").Source} source
 * @param {any} library
 */
export async function tokenizerOf(said, source, library) {
  if (!said.tokenizer)
    throw refused(
      "contract",
      "preparation.tokenizer must name a file, got none: another made the tokens",
      "contract.json",
    );
  return new Tokenizer(JSON.parse(new TextDecoder().decode(await source.read(said.tokenizer))), said, library);
}

/**
 * Prompts, conversations, and texts that are to go on.
 *
 * @param {any} said @param {any} contract @param {import("./bundle.js").Source} source @param {any} library
 */
async function conversations(said, { decoding }, source, library) {
  const tokenizer = await tokenizerOf({ ...said, max_length: Infinity }, source, library);
  const tokens = conversation(tokenizer, said, decoding.stop);
  return function* (row) {
    const ids = tokens(row);
    yield { feeds: { [decoding.tokens]: array("int64", [1, ids.length], ids) } };
  };
}

/** Pictures. @param {any} said @param {any} contract */
function images(said, contract) {
  const input = inputOf(said, contract);
  return function* (picture) {
    yield { feeds: { [input]: imageFeed(picture, said) } };
  };
}

/** Sounds of a length. @param {any} said @param {any} contract */
function sounds(said, contract) {
  const input = inputOf(said, contract);
  return function* (sound) {
    yield { feeds: { [input]: audioFeed(sound, said) } };
  };
}

/**
 * Sound as it comes, frame after frame, until the last sample's answer is complete.
 *
 * @param {any} said
 * @param {any} contract
 */
function frames(said, contract) {
  const input = inputOf(said, contract);
  const shape = contract.inputs
    .find((each) => each.name === input)
    .shape.map((axis) => (Number.isInteger(axis) ? axis : 1));
  const lag = contract.decoding.kind === "frames" ? said.window - said.hop : 0;
  return function* (sound) {
    const samples = resampled(Float64Array.from(sound.samples), sound.rate, said.rate);
    const place = samples.findIndex((value) => !Number.isFinite(value));
    if (place >= 0)
      throw refused("input", `samples must be finite, got ${samples[place]} at ${place}: cut the sound there`);
    if (samples.length === 0) throw refused("input", "a sound must have at least one sample, got none");
    const framer = new Framer(said);
    const details = { count: samples.length, rate: said.rate };
    for (let at = 0; at < samples.length + lag; at += said.hop) {
      const heard = new Float64Array(said.hop);
      heard.set(samples.subarray(at, at + said.hop));
      yield { feeds: { [input]: array("float32", shape, framer.next(heard)) }, details };
    }
  };
}

/**
 * Numbers as they are; of a model with states several frames one after another.
 *
 * @param {any} said
 * @param {any} contract
 */
function arrays(said, contract) {
  const own = contract.inputs.filter((each) => !(each.name in contract.states));
  const sizes = own.map(({ shape }) => shape.slice(1).map((axis) => (Number.isInteger(axis) ? axis : 1)));
  return function* (...values) {
    const width = sizes.map((size) => size.reduce((all, axis) => all * axis, 1));
    const flat = values.map((value, place) => numbersOf(value, own[place].name, width[place]));
    const counts = flat.map((each, place) => each.length / width[place]);
    const streaming = Object.keys(contract.states).length > 0;
    if (
      counts.some((count) => count !== counts[0] || !Number.isInteger(count) || count < 1 || (count > 1 && !streaming))
    ) {
      const wanted = own.map(({ name }, place) => `${name} [${sizes[place].join(", ")}]`).join(", ");
      throw refused(
        "input",
        `arrays must be ${wanted}${streaming ? ", or frames of that one after another" : ""}, got ${flat.map((each) => each.length).join(", ")} numbers`,
      );
    }
    for (let frame = 0; frame < counts[0]; frame++) {
      const one = ({ name, dtype }, place) => {
        const size = flat[place].length / counts[0];
        return [name, array(dtype, [1, ...sizes[place]], flat[place].slice(frame * size, (frame + 1) * size))];
      };
      yield { feeds: Object.fromEntries(own.map(one)) };
    }
  };
}

/**
 * @param {any} value Nested lists, a typed array, or a sound, whose whole frames they are.
 * @param {string} name
 * @param {number} width
 */
function numbersOf(value, name, width) {
  const heard = value?.samples?.subarray(0, value.samples.length - (value.samples.length % width));
  /** @type {any} */
  const flat = Array.from(heard ?? (ArrayBuffer.isView(value) ? value : [value].flat(Infinity)));
  if (flat.every((each) => typeof each === "number" || typeof each === "bigint")) return flat;
  throw refused("input", `'${name}' must be numbers, got ${flat.find((each) => typeof each !== "number")}`);
}
