// @ts-check
/** Blanks as Python has them (`str.isspace`), by which texts are trimmed and split as in training: JavaScript's differ. */

const BLANK = /[\p{White_Space}\x1c-\x1f]/u;

const BLANKS = new RegExp(`${BLANK.source}+`, "u");

/** @param {string} text @returns {string} Without the blanks around it. */
export function trimmed(text) {
  let [start, end] = [0, text.length];
  while (start < end && BLANK.test(text[start])) start++;
  while (start < end && BLANK.test(text[end - 1])) end--;
  return text.slice(start, end);
}

/** @param {string} text @returns {string[]} What stands between its blanks. */
export const split = (text) => text.split(BLANKS).filter(Boolean);
