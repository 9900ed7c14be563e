// @ts-check
/**
 * BERT's tokenizer, exactly as Hugging Face's `tokenizers` reads `tokenizer.json`: BertNormalizer, BertPreTokenizer,
 * WordPiece. `tests/export` holds the two against each other on every kind of character.
 */

import * as unicode from "./unicode.js";

const CHINESE = [
  [0x4e00, 0x9fff],
  [0x3400, 0x4dbf],
  [0x20000, 0x2a6df],
  [0x2a700, 0x2b73f],
  [0x2b740, 0x2b81f],
  [0x2b920, 0x2ceaf],
  [0xf900, 0xfaff],
  [0x2f800, 0x2fa1f],
];

const SPACE = /^\p{White_Space}$/u;
const CONTROL = /^[\p{Cc}\p{Cf}\p{Co}]$/u;
const MARK = /^\p{Mn}$/u;
const PUNCTUATION = /^[\p{P}!-/:-@[-`{-~]$/u;

/**
 * @typedef {object} Traced A text as far as it was normalised.
 * @property {string} text @property {number[]} origins Of each of its UTF-16 units, where the character that it came
 *   from begins in the text that a person gave.
 */

/** @param {string} text @returns {Traced} As it was given. */
export function traced(text) {
  const origins = [];
  for (const letter of text) for (let unit = 0, at = origins.length; unit < letter.length; unit++) origins.push(at);
  return { text, origins };
}

/** @param {Traced} whole @param {number} start @param {number} end @returns {Traced} */
export const part = ({ text, origins }, start, end) => ({
  text: text.slice(start, end),
  origins: origins.slice(start, end),
});

/**
 * @param {string} letter @param {RegExp} kind What a system of today says.
 * @param {{ later: number[][], former: number[][] }} differences Where `tokenizers` says something else.
 */
function is(letter, kind, { later, former }) {
  const code = /** @type {number} */ (letter.codePointAt(0));
  return kind.test(letter) ? !within(code, later) : within(code, former);
}

/** @param {number} code @param {number[][]} ranges */
const within = (code, ranges) => ranges.some(([first, last]) => code >= first && code <= last);

/** @param {string} letter */
const isControl = (letter) =>
  letter === "\0" || letter === "\ufffd" || (!"\t\n\r".includes(letter) && is(letter, CONTROL, unicode.CONTROL));

/**
 * What a step makes of each character, wherever it stands.
 *
 * @param {Traced} before
 * @param {(letter: string) => string} step
 */
function each(before, step) {
  let text = "";
  const origins = [];
  let at = 0;
  for (const letter of before.text) {
    const made = step(letter);
    text += made;
    for (let unit = 0; unit < made.length; unit++) origins.push(before.origins[at]);
    at += letter.length;
  }
  return { text, origins };
}

/** @param {string} letter */
const cleaned = (letter) => (isControl(letter) ? "" : SPACE.test(letter) ? " " : letter);

/** @param {string} letter */
const spaced = (letter) => (within(/** @type {number} */ (letter.codePointAt(0)), CHINESE) ? ` ${letter} ` : letter);

/** @param {string} text */
const decomposed = (text) => text.replace(unicode.DECOMPOSED, (run) => run.normalize("NFD"));

/** Taken apart, marks in their canonical order. @param {Traced} before */
function apart(before) {
  const found = each(before, decomposed);
  const text = decomposed(before.text);
  // As many units either way; which of two marks comes first moves no letter.
  return { text, origins: found.origins };
}

/**
 * @param {Traced} text @param {any} options Of a BertNormalizer.
 * @returns {Traced}
 */
export function normalised(text, options) {
  let found = text;
  if (options.clean_text) found = each(found, cleaned);
  if (options.handle_chinese_chars) found = each(found, spaced);
  if (options.strip_accents ?? options.lowercase) {
    found = each(apart(found), (letter) => (is(letter, MARK, unicode.MARK) ? "" : letter));
  }
  // One by one: JavaScript would write a sigma at the end of a word otherwise.
  return options.lowercase ? each(found, (letter) => letter.toLowerCase()) : found;
}

/** @param {Traced} whole @returns {Traced[]} Words; each sign of punctuation is one. */
export function words(whole) {
  const found = [];
  let [start, at] = [0, 0];
  for (const letter of whole.text) {
    const alone = is(letter, PUNCTUATION, unicode.PUNCTUATION);
    const end = at + letter.length;
    if (alone || SPACE.test(letter)) {
      if (start < at) found.push(part(whole, start, at));
      if (alone) found.push(part(whole, at, end));
      start = end;
    }
    at = end;
  }
  if (start < at) found.push(part(whole, start, at));
  return found;
}

/**
 * @param {string} word
 * @param {Map<string, number>} vocabulary
 * @param {any} model Of `tokenizer.json`.
 * @returns {{ id: number, start: number, end: number }[]} The longest pieces from its beginning, and which units of it
 *   they are; the unknown token where there are none.
 */
export function pieces(word, vocabulary, model) {
  const letters = Array.from(word);
  const unknown = [{ id: /** @type {number} */ (vocabulary.get(model.unk_token)), start: 0, end: word.length }];
  if (letters.length > model.max_input_chars_per_word) return unknown;
  const found = [];
  let at = 0;
  for (let start = 0; start < letters.length;) {
    let end = letters.length;
    let [id, piece] = [/** @type {number | undefined} */ (undefined), ""];
    for (; end > start; end--) {
      piece = letters.slice(start, end).join("");
      id = vocabulary.get(start > 0 ? model.continuing_subword_prefix + piece : piece);
      if (id !== undefined) break;
    }
    if (id === undefined) return unknown;
    found.push({ id, start: at, end: at + piece.length });
    [start, at] = [end, at + piece.length];
  }
  return found;
}
