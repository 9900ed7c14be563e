// @ts-check
/** Outputs → answer (`decoding` of the contract, export/BUNDLE.md). */

import { numbers } from "./array.js";
import { refused } from "./refused.js";

/**
 * @typedef {object} Answer
 * @property {string} [label] Of the greatest score. @property {number} [score] Its probability.
 * @property {boolean} [known] Whether the input is of a known class; where the contract has a threshold.
 * @property {Record<string, Answer>} [heads] @property {Answer[]} [tags] Of each word. @property {number[]} [numbers]
 */

/**
 * @param {any} contract
 * @param {import("./array.js").Feeds} outputs Of one inference.
 * @param {number[] | null} places Of `tags`: which token answers for each word.
 * @returns {Answer}
 */
export function decode(contract, outputs, places = null) {
  const { decoding, labels } = contract;
  const values = () => numbers(outputs[decoding.output]);
  switch (decoding.kind) {
    case "classes":
      return { ...likeliest(values(), labels, decoding.temperature), ...familiar(values(), contract) };
    case "tags": {
      const scores = values();
      const one = (token) => likeliest(scores.subarray(token * labels.length, (token + 1) * labels.length), labels, 1);
      return { tags: (places ?? Array.from({ length: scores.length / labels.length }, (_, token) => token)).map(one) };
    }
    case "heads": {
      const scores = values();
      const one = ({ name, first, classes }) => {
        const own = labels.slice(first, first + classes).map((label) => label.slice(name.length + 1));
        return [name, likeliest(scores.subarray(first, first + classes), own, decoding.temperature)];
      };
      return { heads: Object.fromEntries(decoding.heads.map(one)) };
    }
    case "numbers":
      return { numbers: Array.from(values()) };
    case "none":
      return {};
    default:
      throw refused("contract", `decoding.kind must be one that this kit knows, got '${decoding.kind}'`, "contract.json");
  }
}

/** @param {Float64Array} scores @param {string[]} labels @param {number} temperature */
function likeliest(scores, labels, temperature) {
  const best = scores.indexOf(Math.max(...scores));
  const all = scores.reduce((sum, score) => sum + Math.exp((score - scores[best]) / temperature), 0);
  return { label: labels[best] ?? String(best), score: 1 / all };
}

/** Whether a score of how well the classes fit reaches the contract's threshold. @param {Float64Array} scores @param {any} contract */
function familiar(scores, { thresholds }) {
  const least = thresholds.unknown?.accept_above;
  if (least === undefined) return {};
  const best = Math.max(...scores);
  const mean = scores.reduce((sum, score) => sum + score, 0) / scores.length;
  const all = scores.reduce((sum, score) => sum + Math.exp(score - best), 0);
  return { known: best - mean + Math.log(all) >= least };
}
