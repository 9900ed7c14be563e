// @ts-check
/** The application itself: opens a bundle on a runtime, answers rows, runs the golden rows. */

import { openBundle } from "./bundle.js";
import { decoding } from "./decode.js";
import { compare, compareSaid, goldenRows } from "./golden.js";
import { Model } from "./model.js";
import { preparation, tokenizerOf } from "./prepare.js";
import { refused } from "./refused.js";
import { parts, select } from "./variant.js";
import { Writer } from "./writer.js";

/**
 * @typedef {object} Runtime ONNX Runtime on a platform; `export/node/runtime.js` and `export/web/runtime.js` are such.
 * @property {any} ort Its module.
 * @property {string} version
 * @property {string[]} providers Those to choose from, as ONNX Runtime spells them, the best first.
 * @property {any} tokenizers The module `@huggingface/tokenizers`, or null.
 * @property {() => Promise<import("./variant.js").Device>} device
 * @property {(taken: Taken, graph?: string) => Promise<{ session: any, ns: number }>} session Of a graph, by default the
 *   one that gives the answer; and how long it took to load.
 * @property {() => number} clock Integer nanoseconds, never going back.
 *
 * @typedef {object} Taken A model that is to be loaded.
 * @property {import("./bundle.js").Bundle} bundle @property {import("./variant.js").Variant} variant
 * @property {string} provider @property {number} threads
 *
 * @typedef {{ threads?: number, variant?: string }} Options How many threads; a variant instead of the one that fits
 *   first.
 */

/** Kinds of preparation of which the golden rows hold the raw ones, too. */
const TEXTS = ["text", "words", "text-pair", "conversation"];

/** A bundle, the model that this device takes, and what is around it. */
export class Kit {
  /**
   * @param {import("./bundle.js").Bundle} bundle @param {Model} model @param {string} provider @param {number} threads
   * @param {import("./prepare.js").Preparation} prepare
   * @param {Writer | null} writer Of a model that answers token by token.
   */
  constructor(bundle, model, provider, threads, prepare, writer) {
    this.bundle = bundle;
    this.model = model;
    this.provider = provider;
    this.threads = threads;
    this.prepare = prepare;
    this.writer = writer;
    this.decode = writer ? () => null : decoding(bundle.contract);
  }

  /**
   * @param {import("./bundle.js").Source} source Of the bundle.
   * @param {Runtime} runtime
   * @param {Options} options
   * @returns {Promise<Kit>}
   */
  static async open(source, runtime, options = {}) {
    const taken = await take(source, runtime, options);
    const { bundle, variant, provider, threads } = taken;
    const prepare = await preparation(bundle, runtime.tokenizers);
    const sessions = {};
    for (const graph of Object.keys(parts(variant))) sessions[graph] = (await runtime.session(taken, graph)).session;
    const writes = bundle.contract.decoding.kind === "generation";
    const writer = writes ? await writerOf(taken, sessions, runtime) : null;
    const model = new Model(runtime.ort, sessions, variant, bundle.contract);
    return new Kit(bundle, model, provider, threads, prepare, writer);
  }

  /**
   * What a model that answers token by token says.
   *
   * @param {import("./prepare.js").Row} row
   * @param {Parameters<Writer["say"]>[1]} options
   * @returns {Promise<import("./writer.js").Said>}
   */
  async say(row, options = {}) {
    if (!this.writer) {
      const { kind } = this.bundle.contract.decoding;
      throw refused("input", `a bundle must answer token by token to be asked so, got one that gives ${kind}`);
    }
    const [{ feeds }] = this.prepare(row);
    const [{ data }] = Object.values(feeds);
    return this.writer.say(Array.from(data, Number), options);
  }

  /**
   * @param {import("./prepare.js").Row} row
   * @returns {Promise<import("./decode.js").Answer>}
   */
  async answer(row) {
    if (this.writer) {
      const { text, end, tokens } = await this.say(row);
      return { text, end, tokens: tokens.length };
    }
    const answered = [];
    let states = this.model.states();
    for (const request of this.prepare(row)) {
      const found = await this.model.run(request.feeds, states);
      states = found.states;
      answered.push({ ...request, outputs: found.outputs });
    }
    if (answered.length === 0)
      throw refused("input", "a row must make at least one inference, got none: it is too short");
    return this.decode(answered);
  }

  /**
   * Runs the golden rows, and prepares again those that were text.
   *
   * @returns {Promise<{ rows: number, prepared: number, outputs: import("./golden.js").Compared[], findings:
   *   import("./refused.js").Finding[] }>}
   */
  async golden() {
    const { variant } = this.model;
    const { golden } = this.bundle;
    const rows = goldenRows(golden, variant.golden);
    const known = golden.tolerances[variant.golden];
    const limit = known[this.provider] ?? known["*"];
    const outputs = this.writer ? await compareSaid(rows, this.writer, limit) : await this.compared(rows, limit);
    const findings = outputs
      .filter((each) => !(each.apart <= each.limit))
      .map(({ name, apart, limit, mismatch }) => ({
        kind: "golden",
        file: variant.file,
        message: `'${name}' must be within ${limit} of its largest magnitude on ${this.provider}, got ${mismatch ?? `off by ${apart.toPrecision(2)} of it`}`,
      }));
    const written = TEXTS.includes(this.bundle.contract.preparation.kind);
    const texts = rows.filter((row) => written && row.row !== null);
    for (const row of texts) {
      const [{ feeds }] = this.prepare(row.row);
      const wrong = compare([row.inputs], [feeds], 0).find((each) => each.apart !== 0);
      const message = `${JSON.stringify(row.row)} must become the same ${wrong?.name}, got another`;
      if (wrong) findings.push({ kind: "golden", file: "golden.json", message });
    }
    return { rows: rows.length, prepared: texts.length, outputs, findings };
  }

  /** @param {import("./golden.js").Row[]} rows @param {number} limit */
  async compared(rows, limit) {
    const got = [];
    for (const row of rows) got.push((await this.model.run(row.inputs)).outputs);
    return compare(
      rows.map((row) => row.outputs),
      got,
      limit,
    );
  }
}

/**
 * What says the answers of a model token by token.
 *
 * @param {Taken} taken @param {Record<string, any>} sessions Graph → its session. @param {Runtime} runtime
 */
async function writerOf(taken, sessions, runtime) {
  const { contract, source } = taken.bundle;
  const { decode } = await tokenizerOf({ ...contract.preparation, max_length: Infinity }, source, runtime.tokenizers);
  if (!decode) {
    const message = "the tokenizer must be of pairs of bytes or letters for a model that writes, got WordPiece";
    throw refused("contract", message, contract.preparation.tokenizer);
  }
  return new Writer(runtime.ort, sessions, contract, decode, runtime.clock);
}

/**
 * Opens a bundle and chooses; nothing is loaded.
 *
 * @param {import("./bundle.js").Source} source
 * @param {Runtime} runtime
 * @param {Options} options
 * @returns {Promise<Taken>}
 */
export async function take(source, runtime, { threads = 1, variant: name } = {}) {
  const bundle = await openBundle(source);
  const device = await runtime.device();
  const all = bundle.manifest.variants;
  const variants = all.filter((each) => name === undefined || each.name === name);
  if (variants.length === 0) {
    throw refused("input", `variant must be one of ${all.map((each) => each.name).join(", ")}, got '${name}'`);
  }
  const found = select(variants, device);
  if (found) return { bundle, ...found, threads };
  const known = variants.map((each) => `${each.name} (ONNX Runtime ${each.runtime}, ${each.providers.join(" or ")})`);
  const on = `${device.providers.join(", ")} of ONNX Runtime ${device.runtime}`;
  const message = `a variant must fit ${on} on ${device.architecture || "an unknown processor"}, got ${known.join("; ")}`;
  throw refused("manifest", message, "manifest.json");
}
