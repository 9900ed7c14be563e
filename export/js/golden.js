// @ts-check
/** Golden rows: real inputs with the answers that a device must give, and how far it may be off (export/BUNDLE.md). */

import { array, numbers, unpacked } from "./array.js";
import { Course, likeliest } from "./writer.js";

/** Types whose values are quantities; of others the share of elements that differ counts. */
const QUANTITIES = ["float16", "float32", "float64", "int8", "uint8"];

/**
 * @typedef {import("./array.js").Feeds} Feeds
 * @typedef {object} Row
 * @property {any} row What the inputs were made of, where that is text; else null.
 * @property {Feeds} inputs @property {Feeds} outputs
 */

/**
 * @param {any} golden What `golden.json` holds. @param {string} precision The variant's `golden`.
 * @returns {Row[]}
 */
export function goldenRows(golden, precision) {
  const arrays = (said) => Object.fromEntries(Object.entries(said).map(([name, each]) => [name, unpacked(each, name)]));
  return golden.rows.map((row) => ({
    row: row.row,
    inputs: arrays(row.inputs),
    outputs: arrays(row.outputs[precision]),
  }));
}

/**
 * @typedef {object} Compared
 * @property {string} name Of an output. @property {number} apart How far it is off, as a share.
 * @property {number} limit How far it may be. @property {string | null} mismatch Why the two cannot be compared.
 */

/**
 * @param {Feeds[]} expected @param {Feeds[]} got As many. @param {number} limit
 * @returns {Compared[]} Each output's greatest difference over all rows, as a share of its greatest magnitude.
 */
export function compare(expected, got, limit) {
  const names = [...new Set([expected[0], got[0]].flatMap(Object.keys))];
  return names.map((name) => {
    const pairs = expected.map((row, place) => [row[name], got[place][name]]);
    const mismatch = pairs.map(([one, other]) => unlike(one, other)).find((each) => each !== null) ?? null;
    return { name, apart: mismatch ? Infinity : apart(pairs), limit, mismatch };
  });
}

/**
 * The same of a model that answers token by token: the golden tokens are said, whatever others are likelier, so that one
 * close call does not make another answer of all that follows. A token counts where it was surer than twice the limit.
 *
 * @param {Row[]} rows @param {import("./writer.js").Writer} writer @param {number} limit
 * @returns {Promise<Compared[]>}
 */
export async function compareSaid(rows, writer, limit) {
  const { output } = writer.said;
  const [expected, got] = [/** @type {Feeds[]} */ ([]), /** @type {Feeds[]} */ ([])];
  const magnitude = Math.max(...rows.flatMap((row) => Array.from(numbers(row.outputs[output]), Math.abs)));
  for (const { inputs, outputs } of rows) {
    const [prompt] = Object.values(inputs);
    const said = Array.from(outputs.tokens.data, Number);
    const course = new Course(writer, Array.from(prompt.data, Number));
    const steps = [];
    for (let place = 0; place < said.length; place++) steps.push(await course.scores(said[place - 1]));
    const sure = Array.from(numbers(outputs.margins), (margin) => margin > 2 * limit * magnitude);
    const kept = (tokens) =>
      list(
        "int64",
        tokens.filter((_, place) => sure[place]),
      );
    const { scores } = outputs;
    expected.push({ [output]: outputs[output], scores, tokens: kept(said) });
    got.push({
      [output]: list("float32", Array.from(steps[0])),
      scores: list(
        "float32",
        steps.map((each, place) => each[said[place]]),
      ),
      tokens: kept(steps.map(likeliest)),
    });
  }
  // A token is the same or another.
  return compare(expected, got, limit).map((each) => (each.name === "tokens" ? { ...each, limit: 0 } : each));
}

/** @param {string} dtype @param {number[]} values */
const list = (dtype, values) => array(dtype, [values.length], values);

/** @param {import("./array.js").Array_[][]} pairs */
function apart(pairs) {
  if (!QUANTITIES.includes(pairs[0][0].dtype)) {
    const all = pairs.reduce((sum, [one]) => sum + one.data.length, 0);
    const differing = pairs.reduce(
      (sum, [one, other]) => sum + Array.from(one.data).filter((each, place) => each !== other.data[place]).length,
      0,
    );
    return differing / Math.max(1, all);
  }
  let [absolute, magnitude] = [0, 0];
  for (const [one, other] of pairs) {
    const [wanted, found] = [numbers(one), numbers(other)];
    wanted.forEach((value, place) => {
      const difference = value === found[place] ? 0 : Math.abs(value - found[place]);
      absolute = Number.isNaN(difference) ? Infinity : Math.max(absolute, difference);
      if (Number.isFinite(value)) magnitude = Math.max(magnitude, Math.abs(value));
    });
  }
  return absolute === 0 ? 0 : absolute / magnitude;
}

/** @param {import("./array.js").Array_ | undefined} one @param {import("./array.js").Array_ | undefined} other */
function unlike(one, other) {
  if (!one || !other) return one ? "the model does not give it" : "the bundle does not tell it";
  if (one.dtype !== other.dtype) return `type must be ${one.dtype}, got ${other.dtype}`;
  if (one.shape.join() !== other.shape.join()) return `shape must be [${one.shape}], got [${other.shape}]`;
  return null;
}
