// @ts-check
/** Texts → tokens (`preparation.kind` text), as the contract and `tokenizer.json` say. */

import { refused } from "./refused.js";
import { normalised, pieces, words } from "./wordpiece.js";

/**
 * @typedef {object} Encoding What the contract's `fields` name.
 * @property {number[]} ids @property {number[]} attention_mask @property {number[]} type_ids
 */

/**
 * @typedef {object} Part Something that encodes texts without special tokens, and puts those around.
 * @property {(text: string, split: boolean) => number[]} ids
 * @property {(ids: number[]) => Encoding} framed
 */

/** A tokenizer with the contract's cut. */
export class Tokenizer {
  /**
   * @param {any} said What `tokenizer.json` holds.
   * @param {any} options The contract's `preparation`.
   * @param {{ Tokenizer: new (said: any, options: any) => any } | null} library `@huggingface/tokenizers`, which reads
   *   tokenizers that are not BERT's.
   */
  constructor(said, options, library = null) {
    this.options = options;
    this.part = isBert(said) ? bert(said) : other(said, options, library);
    this.added = this.part.framed([]).ids.length;
  }

  /** @param {string} text @returns {Encoding} */
  encode(text) {
    return this.part.framed(this.cut(this.idsOf(text)));
  }

  /**
   * @param {string[]} words
   * @returns {Encoding & { words: (number | null)[] }} Of all of them, and which word each token is of.
   */
  encodeWords(words) {
    const tokens = this.cut(words.flatMap((word, number) => this.idsOf(word).map((id) => ({ id, number }))));
    const encoding = this.part.framed(tokens.map((token) => token.id));
    const before = this.part.framed([NaN]).ids.findIndex(Number.isNaN);
    return { ...encoding, words: encoding.ids.map((_, place) => tokens[place - before]?.number ?? null) };
  }

  /** @param {string} text */
  idsOf(text) {
    return this.part.ids(text, this.options.split_special_tokens ?? false);
  }

  /** What has room beside the special tokens. @template T @param {T[]} tokens @returns {T[]} */
  cut(tokens) {
    const { max_length: most, truncation_side: side } = this.options;
    const room = Math.max(0, most - this.added);
    if (tokens.length <= room) return tokens;
    return side === "left" ? tokens.slice(tokens.length - room) : tokens.slice(0, room);
  }
}

/** @param {any} said */
const isBert = ({ normalizer, pre_tokenizer, model, post_processor }) =>
  normalizer?.type === "BertNormalizer" &&
  pre_tokenizer?.type === "BertPreTokenizer" &&
  (model.type ?? "WordPiece") === "WordPiece" &&
  ["TemplateProcessing", "BertProcessing"].includes(post_processor?.type);

/** @param {any} said @returns {Part} */
function bert(said) {
  const { normalizer, model, added_tokens: added = [] } = said;
  /** @type {Map<string, number>} */
  const vocabulary = new Map(Object.entries(model.vocab));
  const known = new Map(); // Most words come again.
  const wordIds = (word) => {
    if (!known.has(word)) known.set(word, pieces(word, vocabulary, model));
    return known.get(word);
  };
  const plain = (text) => words(text).flatMap(wordIds);
  const [raw, late] = [added.filter((each) => !each.normalized), added.filter((each) => each.normalized)];
  const readable = late.map((each) => ({ ...each, content: normalised(each.content, normalizer) }));
  return {
    ids: (text, split) =>
      splitAt(text, split ? raw.filter((each) => !each.special) : raw).flatMap((piece) => {
        if (typeof piece === "number") return [piece];
        const rest = splitAt(
          normalised(piece, normalizer),
          split ? readable.filter((each) => !each.special) : readable,
        );
        return rest.flatMap((inner) => (typeof inner === "number" ? [inner] : plain(inner)));
      }),
    framed: template(said.post_processor),
  };
}

/**
 * A text around the tokens that were added to the vocabulary: where several begin at one place the longest is taken.
 *
 * @param {string} text @param {any[]} added
 * @returns {(string | number)[]} Pieces of the text, and ids.
 */
function splitAt(text, added) {
  const found = [];
  let rest = 0;
  const order = [...added].sort((one, other) => other.content.length - one.content.length);
  for (let at = 0; at < text.length;) {
    const token = order.find((each) => each.content && text.startsWith(each.content, at));
    const end = at + (token?.content.length ?? 1);
    if (
      !token ||
      (token.single_word &&
        (isWord(text.slice(0, at), /[\p{L}\p{N}_]$/u) || isWord(text.slice(end), /^[\p{L}\p{N}_]/u)))
    ) {
      at = end;
      continue;
    }
    let before = text.slice(rest, at);
    if (token.lstrip) before = before.replace(/\p{White_Space}+$/u, "");
    if (before) found.push(before);
    found.push(token.id);
    rest = token.rstrip ? end + (/^\p{White_Space}*/u.exec(text.slice(end))?.[0].length ?? 0) : end;
    at = rest;
  }
  if (rest < text.length) found.push(text.slice(rest));
  return found;
}

/** @param {string} text @param {RegExp} edge */
const isWord = (text, edge) => edge.test(text);

/** Puts the special tokens of one text around its ids. @param {any} said @returns {(ids: number[]) => Encoding} */
function template(said) {
  const parts =
    said.type === "BertProcessing"
      ? [
          { ids: [said.cls[1]], type: 0 },
          { ids: null, type: 0 },
          { ids: [said.sep[1]], type: 0 },
        ]
      : said.single.map((part) =>
          part.Sequence
            ? { ids: null, type: part.Sequence.type_id }
            : { ids: said.special_tokens[part.SpecialToken.id].ids, type: part.SpecialToken.type_id },
        );
  return (ids) => {
    const whole = parts.flatMap((part) => part.ids ?? ids);
    const types = parts.flatMap((part) => (part.ids ?? ids).map(() => part.type));
    return { ids: whole, attention_mask: whole.map(() => 1), type_ids: types };
  };
}

/** @param {any} said @param {any} options @param {any} library @returns {Part} */
function other(said, options, library) {
  const kind = `${said.model?.type ?? "?"} after ${said.pre_tokenizer?.type ?? "nothing"}`;
  if (!library || options.split_special_tokens) {
    const message = library
      ? "special tokens that are not split"
      : "BERT's WordPiece, or @huggingface/tokenizers beside it";
    throw refused("contract", `the tokenizer must be ${message} for this kit, got ${kind}`, options.tokenizer);
  }
  const tokenizer = new library.Tokenizer(said, {});
  const numbered = (token) =>
    tokenizer.added_tokens_map.get(token)?.id ?? tokenizer.token_to_id(token) ?? tokenizer.model.unk_token_id;
  /** @type {string[]} */
  let tokens = [];
  return {
    ids(text) {
      tokens = tokenizer.encode_text(text) ?? [];
      return tokens.map(numbered);
    },
    framed(ids) {
      const inner = ids.map((id) => tokenizer.id_to_token(id));
      const whole = tokenizer.post_processor ? tokenizer.post_processor(inner, null, true) : { tokens: inner };
      const all = whole.tokens.map(numbered);
      return { ids: all, attention_mask: all.map(() => 1), type_ids: whole.token_type_ids ?? all.map(() => 0) };
    },
  };
}
