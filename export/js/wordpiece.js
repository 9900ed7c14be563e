// @ts-check
/**
 * BERT's tokenizer, exactly as Hugging Face's `tokenizers` reads `tokenizer.json`: BertNormalizer, BertPreTokenizer,
 * WordPiece. `tests/export` holds the two against each other on every kind of character.
 */

import * as unicode from "./unicode.js";

const CHINESE = [
  [0x4e00, 0x9fff], [0x3400, 0x4dbf], [0x20000, 0x2a6df], [0x2a700, 0x2b73f],
  [0x2b740, 0x2b81f], [0x2b920, 0x2ceaf], [0xf900, 0xfaff], [0x2f800, 0x2fa1f],
];

const SPACE = /^\p{White_Space}$/u;
const CONTROL = /^[\p{Cc}\p{Cf}\p{Co}]$/u;
const MARK = /^\p{Mn}$/u;
const PUNCTUATION = /^[\p{P}!-/:-@[-`{-~]$/u;

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
 * @param {string} text @param {any} options Of a BertNormalizer.
 * @returns {string}
 */
export function normalised(text, options) {
  let letters = Array.from(text);
  if (options.clean_text) {
    letters = letters.filter((letter) => !isControl(letter)).map((letter) => (SPACE.test(letter) ? " " : letter));
  }
  if (options.handle_chinese_chars) {
    letters = letters.map((letter) =>
      within(/** @type {number} */ (letter.codePointAt(0)), CHINESE) ? ` ${letter} ` : letter,
    );
  }
  let found = letters.join("");
  if (options.strip_accents ?? options.lowercase) {
    found = found.replace(unicode.DECOMPOSED, (run) => run.normalize("NFD"));
    found = Array.from(found)
      .filter((letter) => !is(letter, MARK, unicode.MARK))
      .join("");
  }
  // One by one: JavaScript would write a sigma at the end of a word otherwise.
  return options.lowercase ? Array.from(found, (letter) => letter.toLowerCase()).join("") : found;
}

/** @param {string} text @returns {string[]} Words; each sign of punctuation is one. */
export function words(text) {
  const found = [];
  let word = "";
  const end = () => {
    if (word) found.push(word);
    word = "";
  };
  for (const letter of text) {
    const alone = is(letter, PUNCTUATION, unicode.PUNCTUATION);
    if (alone || SPACE.test(letter)) end();
    if (alone) found.push(letter);
    else if (!SPACE.test(letter)) word += letter;
  }
  end();
  return found;
}

/**
 * @param {string} word
 * @param {Map<string, number>} vocabulary
 * @param {any} model Of `tokenizer.json`.
 * @returns {number[]} Ids of the longest pieces from its beginning; of the unknown token where there are none.
 */
export function pieces(word, vocabulary, model) {
  const letters = Array.from(word);
  const unknown = [/** @type {number} */ (vocabulary.get(model.unk_token))];
  if (letters.length > model.max_input_chars_per_word) return unknown;
  const found = [];
  for (let start = 0; start < letters.length;) {
    let end = letters.length;
    let id;
    for (; end > start; end--) {
      const piece = letters.slice(start, end).join("");
      id = vocabulary.get(start > 0 ? model.continuing_subword_prefix + piece : piece);
      if (id !== undefined) break;
    }
    if (id === undefined) return unknown;
    found.push(id);
    start = end;
  }
  return found;
}
