// @ts-check
/** Outputs → answer, by the contract's `decoding` (export/BUNDLE.md). */

import { numbers } from "./array.js";
import { seen } from "./boxes.js";
import { Adder } from "./frames.js";
import { ofKind } from "./kinds.js";

/**
 * @typedef {import("./prepare.js").Request & { outputs: import("./array.js").Feeds }} Answered
 * @typedef {any} Answer Of classes a label, its probability (`score`), and `known` where the contract has a threshold.
 */

const KINDS = { classes, tags, heads, span, boxes, frames, probability, numbers: plain, none };

/**
 * @param {any} contract
 * @returns {(answered: Answered[]) => Answer} Of the requests that one row became.
 */
export function decoding(contract) {
  const decode = ofKind(contract, "decoding", KINDS);
  return (answered) => decode(contract, answered);
}

/** @param {any} contract @param {Answered} answered */
const scoresOf = ({ decoding: { output } }, { outputs }) => numbers(outputs[output]);

/** @param {any} contract @param {Answered[]} answered The last one of a stream has heard all. */
function classes(contract, answered) {
  const { decoding: said, labels, thresholds } = contract;
  const scores = scoresOf(contract, /** @type {Answered} */ (answered.at(-1))).subarray(0, said.classes);
  const least = thresholds.unknown?.accept_above;
  return {
    ...likeliest(scores, labels, said.temperature),
    ...(least === undefined ? {} : { known: sure(scores) >= least }),
  };
}

/** @param {Float64Array} scores @param {string[]} labels @param {number} temperature */
function likeliest(scores, labels, temperature = 1) {
  const best = scores.indexOf(Math.max(...scores));
  const all = scores.reduce((sum, score) => sum + Math.exp((score - scores[best]) / temperature), 0);
  return { label: labels[best] ?? best, score: 1 / all };
}

/** How sure a model is that an input is of a class that it knows. @param {Float64Array} scores */
function sure(scores) {
  const best = Math.max(...scores);
  const mean = scores.reduce((sum, score) => sum + score, 0) / scores.length;
  return best - mean + Math.log(scores.reduce((sum, score) => sum + Math.exp(score - best), 0));
}

/** The label of each word; null where the word was cut off. @param {any} contract @param {Answered[]} answered */
function tags(contract, [answered]) {
  const { labels } = contract;
  const scores = scoresOf(contract, answered);
  const own = (token) => scores.subarray(token * labels.length, (token + 1) * labels.length);
  return answered.details.places.map((token) => (token < 0 ? null : likeliest(own(token), labels).label));
}

/** The likeliest class of each head among its own. @param {any} contract @param {Answered[]} answered */
function heads(contract, [answered]) {
  const scores = scoresOf(contract, answered);
  const one = ({ name, first, classes: count }) => {
    const labels = contract.labels.slice(first, first + count).map((label) => label.replace(`${name}/`, ""));
    return [name, likeliest(scores.subarray(first, first + count), labels)];
  };
  return Object.fromEntries(contract.decoding.heads.map(one));
}

/**
 * The span of the passage with the best sum of scores over all windows.
 *
 * @param {any} contract
 * @param {Answered[]} answered
 */
function span({ decoding: said }, answered) {
  const { passage } = answered[0].details;
  let [best, start, end] = [-Infinity, -1, -1];
  for (const { outputs, details } of answered) {
    const [starts, ends] = [said.start, said.end].map((name) => numbers(outputs[name]));
    for (const first of highest(starts, details.covered, said.candidates)) {
      for (const last of highest(ends, details.covered, said.candidates)) {
        const sum = Math.fround(starts[first] + ends[last]);
        if (last < first || last - first >= said.longest || !(sum > best)) continue;
        [best, start, end] = [sum, details.covered[first].start, details.covered[last].end];
      }
    }
  }
  // Places are counted in characters, of which JavaScript has some in two units.
  const characters = (units) => (units < 0 ? units : Array.from(passage.slice(0, units)).length);
  return {
    answer: start < 0 ? "" : passage.slice(start, end),
    start: characters(start),
    end: characters(end),
    score: best,
  };
}

/**
 * The places of the best scores, the earlier one of two that are alike.
 *
 * @param {Float64Array} scores
 * @param {any[]} covered
 * @param {number} count
 */
function highest(scores, covered, count) {
  const places = Array.from(scores.keys()).filter((place) => covered[place] && !Number.isNaN(scores[place]));
  return places.sort((one, other) => scores[other] - scores[one] || one - other).slice(0, count);
}

/** What is where. @param {any} contract @param {Answered[]} answered */
function boxes({ decoding: said, labels }, [{ outputs }]) {
  return { boxes: seen(said, labels, outputs) };
}

/** The sound that a stream's answers make. @param {any} contract @param {Answered[]} answered */
function frames(contract, answered) {
  const { decoding: said } = contract;
  const { count, rate } = answered[0].details;
  const adder = new Adder(said);
  const samples = new Float32Array(answered.length * said.hop);
  answered.forEach((each, place) => samples.set(adder.next(scoresOf(contract, each)), place * said.hop));
  const lag = said.window - said.hop;
  return { rate, samples: samples.slice(lag, lag + count) };
}

/**
 * How likely each frame has it, and the share of frames that have.
 *
 * @param {any} contract
 * @param {Answered[]} answered
 */
function probability(contract, answered) {
  const probabilities = answered.map((each) => scoresOf(contract, each)[0]);
  const share = probabilities.filter((each) => each >= contract.decoding.threshold).length / probabilities.length;
  return { label: contract.labels.at(-1), share, probabilities };
}

/** @param {any} contract @param {Answered[]} answered */
function plain(contract, answered) {
  return nested(answered.at(-1)?.outputs[contract.decoding.output]);
}

/** @param {any} _contract @param {Answered[]} answered */
function none(_contract, answered) {
  return Object.fromEntries(Object.entries(answered.at(-1)?.outputs ?? {}).map(([name, each]) => [name, nested(each)]));
}

/** An array as lists within lists. @param {any} array */
function nested(array) {
  const all = array.dtype === "string" ? array.data : Array.from(numbers(array));
  return array.shape.reduceRight(chunks, all)[0];
}

/** @param {any[]} flat @param {number} size */
const chunks = (flat, size) =>
  Array.from({ length: size ? flat.length / size : 1 }, (_, place) => flat.slice(place * size, (place + 1) * size));
