// @ts-check
/** The application itself: opens a bundle on a runtime, answers rows, runs the golden rows. */

import { openBundle } from "./bundle.js";
import { decode } from "./decode.js";
import { compare, goldenRows } from "./golden.js";
import { Model } from "./model.js";
import { frames } from "./frames.js";
import { preparer } from "./prepare.js";
import { refused } from "./refused.js";
import { select } from "./variant.js";

/**
 * @typedef {object} Runtime ONNX Runtime on a platform; `export/node/runtime.js` and `export/web/runtime.js` are such.
 * @property {any} ort Its module.
 * @property {string} version
 * @property {string[]} providers Those to choose from, as ONNX Runtime spells them, the best first.
 * @property {any} tokenizers The module `@huggingface/tokenizers`, or null.
 * @property {() => Promise<import("./variant.js").Device>} device
 * @property {(bundle: import("./bundle.js").Bundle, variant: import("./variant.js").Variant, provider: string, threads: number) => Promise<any>} session
 */

/** A bundle, the model that this device takes, and what makes inputs of rows. */
export class Kit {
  /**
   * @param {import("./bundle.js").Bundle} bundle @param {Model} model @param {string} provider @param {number} threads
   * @param {(row: import("./prepare.js").Row) => import("./array.js").Feeds} prepare
   */
  constructor(bundle, model, provider, threads, prepare) {
    this.bundle = bundle;
    this.model = model;
    this.provider = provider;
    this.threads = threads;
    this.prepare = prepare;
  }

  /**
   * @param {import("./bundle.js").Source} source Of the bundle.
   * @param {Runtime} runtime
   * @param {{ threads?: number, variant?: string }} options How many threads; a variant instead of the one that fits first.
   * @returns {Promise<Kit>}
   */
  static async open(source, runtime, { threads = 1, variant: name } = {}) {
    const bundle = await openBundle(source);
    const device = await runtime.device();
    const all = bundle.manifest.variants;
    const variants = all.filter((each) => name === undefined || each.name === name);
    if (variants.length === 0) throw refused("input", `variant must be one of ${all.map((each) => each.name).join(", ")}, got '${name}'`);
    const taken = select(variants, device);
    if (!taken) {
      const known = variants.map((each) => `${each.name} (ONNX Runtime ${each.runtime}, ${each.providers.join(" or ")})`);
      const here = `${device.providers.join(", ")} of ONNX Runtime ${device.runtime} on ${device.architecture || "an unknown processor"}`;
      throw refused("manifest", `a variant must fit ${here}, got ${known.join("; ")}`, "manifest.json");
    }
    const prepare = await preparer(bundle, runtime.tokenizers);
    const session = await runtime.session(bundle, taken.variant, taken.provider, threads);
    return new Kit(bundle, new Model(runtime.ort, session, taken.variant, bundle.contract), taken.provider, threads, prepare);
  }

  /**
   * @param {import("./prepare.js").Row} row
   * @returns {Promise<import("./decode.js").Answer>}
   */
  async answer(row) {
    const { outputs } = await this.model.run(this.prepare(row));
    return decode(this.bundle.contract, outputs);
  }

  /**
   * @returns {(row: import("./prepare.js").Row) => Promise<import("./decode.js").Answer>} Answers rows that follow each
   *   other: states go from one to the next. One row at a time.
   */
  stream() {
    let states = this.model.states();
    return async (row) => {
      const found = await this.model.run(this.prepare(row), states);
      states = found.states;
      return decode(this.bundle.contract, found.outputs);
    };
  }

  /**
   * @param {import("./prepare.js").Row} row
   * @yields {import("./decode.js").Answer} Of a streaming model and a sound, one for each frame; of others the only one.
   */
  async *answers(row) {
    const answer = this.stream();
    for (const each of frames(row, this.bundle.contract)) yield await answer(each);
  }

  /**
   * Runs the golden rows, and prepares again those that were text.
   *
   * @returns {Promise<{ rows: number, prepared: number, outputs: import("./golden.js").Compared[], findings: import("./refused.js").Finding[] }>}
   */
  async golden() {
    const { variant } = this.model;
    const { golden } = this.bundle;
    const rows = goldenRows(golden, variant.golden);
    const known = golden.tolerances[variant.golden];
    const got = [];
    for (const row of rows) got.push((await this.model.run(row.inputs)).outputs);
    const outputs = compare(rows.map((row) => row.outputs), got, known[this.provider] ?? known["*"]);
    const findings = outputs
      .filter((each) => !(each.apart <= each.limit))
      .map(({ name, apart, limit, mismatch }) => ({
        kind: "golden",
        file: variant.file,
        message: `'${name}' must be within ${limit} of its largest magnitude on ${this.provider}, got ${mismatch ?? `off by ${apart.toPrecision(2)} of it`}`,
      }));
    const texts = rows.filter((row) => typeof row.row?.text === "string");
    for (const row of texts) {
      const apart = compare([row.inputs], [this.prepare({ text: row.row.text })], 0).filter((each) => each.apart !== 0);
      if (apart.length) findings.push({ kind: "golden", file: "golden.json", message: `'${row.row.text}' must become the same ${apart[0].name}, got another` });
    }
    return { rows: rows.length, prepared: texts.length, outputs, findings };
  }
}
