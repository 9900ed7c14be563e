// @ts-check
/** What is where on a picture (`decoding.kind` boxes, export/BUNDLE.md, "Boxes"). */

import { numbers } from "./array.js";

/** Boxes of a label that are looked at, the surest ones. */
const CANDIDATES = 300;

/**
 * @typedef {object} Seen
 * @property {string} label @property {number} score Its probability.
 * @property {number[]} box Left, top, width and height, as shares of the picture's sides.
 *
 * @typedef {{ place: number, label: number, score: number }} Candidate
 */

/**
 * @param {any} said The contract's `decoding`. @param {string[]} labels
 * @param {import("./array.js").Feeds} outputs Of one picture.
 * @returns {Seen[]} The surest first.
 */
export function seen(said, labels, outputs) {
  const [logits, boxes] = [said.output, said.boxes].map((name) => numbers(outputs[name]));
  const width = outputs[said.output].shape[2];
  const scores = width > labels.length ? shared(logits, width) : logits.map((score) => 1 / (1 + Math.exp(-score)));
  const kept = said.kept ? numbers(outputs[said.kept]) : null;
  /** @type {Candidate[]} */
  let found = [];
  labels.forEach((_, label) => {
    const own = sorted(candidates(scores, width, label, said.least_score));
    if (kept) found.push(...own.filter(({ place }) => kept[place * width + label]));
    else if (width > labels.length) found.push(...own);
    else found.push(...apart(own.slice(0, CANDIDATES), boxes, said.iou, said.most));
  });
  found = found.sort((one, other) => other.score - one.score || one.place - other.place || one.label - other.label);
  return found.slice(0, said.most).map(({ place, label, score }) => {
    const [x, y, wide, high] = boxes.subarray(4 * place, 4 * place + 4);
    return { label: labels[label], score, box: [x - wide / 2, y - high / 2, wide, high] };
  });
}

/**
 * Softmax of each place's scores, of which the last is for nothing.
 *
 * @param {Float64Array} logits
 * @param {number} width
 */
function shared(logits, width) {
  const found = new Float64Array(logits.length);
  for (let at = 0; at < logits.length; at += width) {
    const own = logits.subarray(at, at + width);
    const best = Math.max(...own);
    const all = own.reduce((sum, score) => sum + Math.exp(score - best), 0);
    own.forEach((score, place) => (found[at + place] = Math.exp(score - best) / all));
  }
  return found;
}

/**
 * @param {Float64Array} scores
 * @param {number} width
 * @param {number} label
 * @param {number} least
 * @returns {Candidate[]}
 */
function candidates(scores, width, label, least) {
  const found = [];
  for (let place = 0; place * width < scores.length; place++) {
    const score = scores[place * width + label];
    if (score >= least) found.push({ place, label, score });
  }
  return found;
}

/** The surest first, of equal ones the earlier place. @param {Candidate[]} found */
const sorted = (found) => found.sort((one, other) => other.score - one.score || one.place - other.place);

/**
 * Those that overlap none that is kept.
 *
 * @param {Candidate[]} found
 * @param {Float64Array} boxes
 * @param {number} iou
 * @param {number} most
 */
function apart(found, boxes, iou, most) {
  /** @type {Candidate[]} */
  const kept = [];
  for (const each of found) {
    if (kept.length === most) break;
    if (kept.every(({ place }) => overlap(boxes, place, each.place) <= iou)) kept.push(each);
  }
  return kept;
}

/**
 * The area that two boxes share by the area that they cover together.
 *
 * @param {Float64Array} boxes
 * @param {number} one
 * @param {number} other
 */
function overlap(boxes, one, other) {
  const [x, y, wide, high] = boxes.subarray(4 * one, 4 * one + 4);
  const [u, v, across, down] = boxes.subarray(4 * other, 4 * other + 4);
  const side = (a, b, c, d) => Math.max(0, Math.min(a + b / 2, c + d / 2) - Math.max(a - b / 2, c - d / 2));
  const both = side(x, wide, u, across) * side(y, high, v, down);
  return both === 0 ? 0 : both / (wide * high + across * down - both);
}
