// @ts-check
/** Patterns of a `tokenizer.json` as JavaScript reads them. */

import { refused } from "./refused.js";

/** What a pattern is made of, as far as it matters: groups without regard to capitals, escapes, all else. */
const PIECE = /\(\?i:((?:[^()\\]|\\.)*)\)|\\.|./gsu;

/**
 * @param {{ String?: string, Regex?: string }} said
 * @returns {RegExp}
 */
export function pattern(said) {
  if (said.String !== undefined) return new RegExp(escaped(said.String), "gu");
  try {
    const source = /** @type {string} */ (said.Regex).replace(PIECE, (piece, group) => {
      if (group !== undefined) return `(?:${eitherCase(group)})`;
      return { "\\s": "\\p{White_Space}", "\\S": "\\P{White_Space}", "\\h": "\\p{Zs}" }[piece] ?? piece;
    });
    return new RegExp(source, "gu");
  } catch (error) {
    const message = `a pattern must be one that JavaScript reads, got ${JSON.stringify(said)}: ${/** @type {Error} */ (error).message}`;
    throw refused("contract", message, "processor/tokenizer.json");
  }
}

/** @param {string} text */
const escaped = (text) =>
  text.replace(/[\\^$.*+?()[\]{}|/-]/gu, (letter) => (letter === "-" ? "\\x2d" : `\\${letter}`));

/** Older engines have no such groups. The long s is a small one of S, too. @param {string} text */
const eitherCase = (text) =>
  text.replace(
    /[a-z]/giu,
    (letter) => `[${letter.toLowerCase()}${letter.toUpperCase()}${/s/iu.test(letter) ? "ſ" : ""}]`,
  );
