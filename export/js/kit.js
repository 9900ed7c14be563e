// @ts-check
/** The application itself: opens a bundle on a runtime, answers rows, runs the golden rows. */

import { openBundle } from "./bundle.js";
import { decoding } from "./decode.js";
import { compare, goldenRows } from "./golden.js";
import { Model } from "./model.js";
import { preparation } from "./prepare.js";
import { refused } from "./refused.js";
import { select } from "./variant.js";

/**
 * @typedef {object} Runtime ONNX Runtime on a platform; `export/node/runtime.js` and `export/web/runtime.js` are such.
 * @property {any} ort Its module.
 * @property {string} version
 * @property {string[]} providers Those to choose from, as ONNX Runtime spells them, the best first.
 * @property {any} tokenizers The module `@huggingface/tokenizers`, or null.
 * @property {() => Promise<import("./variant.js").Device>} device
 * @property {(taken: Taken) => Promise<{ session: any, ns: number }>} session And how long it took to load.
 *
 * @typedef {object} Taken A model that is to be loaded.
 * @property {import("./bundle.js").Bundle} bundle @property {import("./variant.js").Variant} variant
 * @property {string} provider @property {number} threads
 *
 * @typedef {{ threads?: number, variant?: string }} Options How many threads; a variant instead of the one that fits
 *   first.
 */

/** Kinds of preparation of which the golden rows hold the raw ones, too. */
const TEXTS = ["text", "words", "text-pair"];

/** A bundle, the model that this device takes, and what is around it. */
export class Kit {
  /**
   * @param {import("./bundle.js").Bundle} bundle @param {Model} model @param {string} provider @param {number} threads
   * @param {import("./prepare.js").Preparation} prepare
   */
  constructor(bundle, model, provider, threads, prepare) {
    this.bundle = bundle;
    this.model = model;
    this.provider = provider;
    this.threads = threads;
    this.prepare = prepare;
    this.decode = decoding(bundle.contract);
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
    const { session } = await runtime.session(taken);
    return new Kit(bundle, new Model(runtime.ort, session, variant, bundle.contract), provider, threads, prepare);
  }

  /**
   * @param {import("./prepare.js").Row} row
   * @returns {Promise<import("./decode.js").Answer>}
   */
  async answer(row) {
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
    const got = [];
    for (const row of rows) got.push((await this.model.run(row.inputs)).outputs);
    const outputs = compare(
      rows.map((row) => row.outputs),
      got,
      known[this.provider] ?? known["*"],
    );
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
