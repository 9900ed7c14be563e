// @ts-check
/** Texts → tokens (`preparation.kind` text, words, text-pair), as the contract and `tokenizer.json` say. */

import { isPairs, pairs } from "./pairs.js";
import { refused } from "./refused.js";
import { splitAt } from "./specials.js";
import { added, template } from "./template.js";
import { normalised, pieces, traced, words } from "./wordpiece.js";

/**
 * @typedef {object} Token
 * @property {number} id
 * @property {number} start Where what it covers begins in the text, in UTF-16 units; -1 for a special token around it.
 * @property {number} end @property {number | null} word Of a list, which one.
 *
 * @typedef {object} Encoding `ids`, `attention_mask` and `type_ids` are what the contract's `fields` name.
 * @property {number[]} ids @property {number[]} attention_mask @property {number[]} type_ids
 * @property {Token[]} tokens @property {(number | null)[]} texts Which text each token is of.
 */

const AROUND = { id: 0, start: -1, end: -1, word: null };

/** A tokenizer with the contract's cut. */
export class Tokenizer {
  /**
   * @param {any} said What `tokenizer.json` holds.
   * @param {any} options The contract's `preparation`.
   * @param {any} library `@huggingface/tokenizers`, which reads tokenizers that are not BERT's; or null.
   */
  constructor(said, options, library = null) {
    this.options = options;
    const split = options.split_special_tokens ?? false;
    const own = isPairs(said) && options.kind !== "text-pair" ? pairs(said, split) : null;
    const made = isBert(said) ? bert(said, split) : (own ?? other(said, options, library));
    this.tokens = made.tokens;
    /** @type {((ids: number[]) => string) | undefined} Text of tokens, special ones left out. */
    this.decode = made.decode;
    this.template = made.template;
  }

  /** @param {string} text @returns {Encoding} */
  encode(text) {
    return around([this.cut(this.tokens(text))], this.template.single);
  }

  /** @param {string[]} list @returns {Encoding} Of all words; each token knows its own. */
  encodeWords(list) {
    const all = list.flatMap((each, word) => this.tokens(each).map((token) => ({ ...token, word })));
    return around([this.cut(all)], this.template.single);
  }

  /**
   * @param {string} first @param {string} second
   * @returns {Encoding[]} Both; the second one in as many windows as it takes.
   */
  windows(first, second) {
    const { max_length: most, truncation_side: side, stride } = this.options;
    const { pair, further } = this.template;
    const [one, two] = [this.tokens(first), this.tokens(second)];
    const room = most - added(pair) - one.length;
    if (room <= stride) {
      throw refused("input", `the first text must leave more than ${stride} tokens for the second, got ${room}`);
    }
    const count = two.length;
    const starts = [];
    if (count <= room) starts.push(0);
    else if (side === "left") for (let end = count; end > stride; end -= room - stride) starts.push(end - room);
    else for (let start = 0; start < count - stride; start += room - stride) starts.push(start);
    const window = (start) => two.slice(Math.max(0, start), Math.min(start + room, count));
    return starts.map((start, number) => around([one, window(start)], number ? further : pair));
  }

  /** What has room beside the special tokens. @param {Token[]} tokens */
  cut(tokens) {
    const { max_length: most, truncation_side: side } = this.options;
    const room = Math.max(0, most - added(this.template.single));
    if (tokens.length <= room) return tokens;
    return side === "left" ? tokens.slice(tokens.length - room) : tokens.slice(0, room);
  }
}

/** @param {Token[][]} texts @param {import("./template.js").Place[]} places @returns {Encoding} */
function around(texts, places) {
  const all = places.flatMap(({ ids, text, type }) =>
    text === null
      ? ids.map((id) => ({ token: { ...AROUND, id }, text, type }))
      : texts[text].map((token) => ({ token, text, type })),
  );
  return {
    ids: all.map((each) => each.token.id),
    attention_mask: all.map(() => 1),
    type_ids: all.map((each) => each.type),
    tokens: all.map((each) => each.token),
    texts: all.map((each) => each.text),
  };
}

/** @param {any} said */
const isBert = ({ normalizer, pre_tokenizer, model, post_processor }) =>
  normalizer?.type === "BertNormalizer" &&
  pre_tokenizer?.type === "BertPreTokenizer" &&
  (model.type ?? "WordPiece") === "WordPiece" &&
  ["TemplateProcessing", "BertProcessing"].includes(post_processor?.type);

/** @param {any} said @param {boolean} split Whether a special token's name within the text is plain text. */
function bert(said, split) {
  const { normalizer, model } = said;
  /** @type {Map<string, number>} */
  const vocabulary = new Map(Object.entries(model.vocab));
  const known = new Map(); // Most words come again.
  const piecesOf = (word) => {
    if (!known.has(word)) known.set(word, pieces(word, vocabulary, model));
    return known.get(word);
  };
  const own = (said.added_tokens ?? []).filter((each) => each.content && !(split && each.special));
  const raw = own.filter((each) => !each.normalized);
  const late = own
    .filter((each) => each.normalized)
    .map((each) => ({ ...each, content: normalised(traced(each.content), normalizer).text }));
  /** @param {string} text @returns {Token[]} */
  const tokens = (text) => {
    const token = (id, whole, start, end) => {
      const last = whole.origins[end - 1];
      const behind = last + /** @type {number} */ (text.codePointAt(last) > 0xffff ? 2 : 1);
      return { id, start: whole.origins[start], end: behind, word: null };
    };
    const plain = (whole) =>
      words(whole).flatMap((word) => piecesOf(word.text).map(({ id, start, end }) => token(id, word, start, end)));
    const either =
      (next) =>
      ({ text: whole, id }) =>
        id === null ? next(whole) : [token(id, whole, 0, whole.text.length)];
    const readable = (whole) => splitAt(normalised(whole, normalizer), late).flatMap(either(plain));
    return splitAt(traced(text), raw).flatMap(either(readable));
  };
  return { tokens, template: template(said.post_processor), decode: undefined };
}

/**
 * By the library, which does not tell what tokens cover.
 *
 * @param {any} said
 * @param {any} options
 * @param {any} library
 */
function other(said, options, library) {
  const kind = `${said.model?.type ?? "?"} after ${said.pre_tokenizer?.type ?? "nothing"}`;
  const wanted = library
    ? "BERT's where special tokens are split, or texts come in pairs,"
    : "BERT's WordPiece, or @huggingface/tokenizers be beside it,";
  if (!library || options.split_special_tokens || options.kind === "text-pair") {
    throw refused("contract", `the tokenizer must be ${wanted} for this kit; got ${kind}`, options.tokenizer);
  }
  const tokenizer = new library.Tokenizer(said, {});
  const idOf = (token) =>
    tokenizer.added_tokens_map.get(token)?.id ?? tokenizer.token_to_id(token) ?? tokenizer.model.unk_token_id;
  const marks = tokenizer.post_processor?.([], null, true)?.tokens ?? [];
  const before = tokenizer.post_processor?.(["\0"], null, true)?.tokens.indexOf("\0") ?? 0;
  const special = marks.map((token) => ({ ids: [idOf(token)], text: null, type: 0 }));
  const single = [...special.slice(0, before), { ids: [], text: 0, type: 0 }, ...special.slice(before)];
  const tokens = (text) => (tokenizer.encode_text(text) ?? []).map((token) => ({ ...AROUND, id: idOf(token) }));
  const shown = { skip_special_tokens: true, clean_up_tokenization_spaces: false };
  const decode = (ids) => (ids.length ? tokenizer.decode(ids, shown) : "");
  return { tokens, template: { single, pair: [], further: [] }, decode };
}
