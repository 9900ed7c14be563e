// @ts-check
/**
 * Byte-pair encodings, of bytes (GPT-2, Llama 3, Qwen) or of letters (Llama 2): texts → tokens → texts, the same as the
 * library `tokenizers` gives.
 */

import { pattern } from "./pattern.js";
import { splitAt } from "./specials.js";
import { template } from "./template.js";
import { traced } from "./wordpiece.js";

/** Words whose tokens are kept, as many as the library keeps. */
const KEPT = 10_000;

const GPT2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/** The letter that stands for each byte: itself where it can be seen, else one behind 255. */
const LETTERS = (() => {
  const seen = (byte) => (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(seen(byte) ? byte : next++));
})();

const BYTES = new Map(LETTERS.map((letter, byte) => [letter, byte]));

/** @typedef {(text: string, first: boolean) => string[]} Split `first`: nothing of the whole text stands before it. */

/** Normaliser → what it makes of a text. @type {Record<string, (said: any) => (text: string) => string>} */
const NORMALISERS = {
  NFC: () => (text) => text.normalize("NFC"),
  NFKC: () => (text) => text.normalize("NFKC"),
  Prepend:
    ({ prepend }) =>
    (text) =>
      text && prepend + text,
  Replace(said) {
    const found = pattern(said.pattern);
    return (text) => text.replace(found, () => said.content);
  },
  Sequence({ normalizers }) {
    const steps = normalizers.map(normaliser);
    return (text) => steps.reduce((all, step) => step(all), text);
  },
};

/** What parts a text → how. @type {Record<string, (said: any) => Split>} */
const SPLITTERS = {
  ByteLevel(said) {
    const words = said.use_regex === false ? null : pattern({ Regex: GPT2 });
    return (text) => {
      const whole = said.add_prefix_space && text && !text.startsWith(" ") ? ` ${text}` : text;
      return words ? (whole.match(words) ?? []) : whole ? [whole] : [];
    };
  },
  Digits: ({ individual_digits: each }) => splitter({ type: "Split", pattern: { Regex: each ? "\\p{N}" : "\\p{N}+" } }),
  Metaspace({ replacement: mark, prepend_scheme: scheme = "always", split = true }) {
    const marks = pattern({ String: mark });
    return (text, first) => {
      let whole = text.replaceAll(" ", mark);
      const put = scheme === "always" || (scheme === "first" && first);
      if (put && whole && !whole.startsWith(mark)) whole = mark + whole;
      return split ? merged(spans(whole, marks), "MergedWithNext") : [whole].filter(Boolean);
    };
  },
  Split(said) {
    const found = pattern(said.pattern);
    return (text) => {
      const all = spans(text, found).map((each) => ({ ...each, found: each.found !== Boolean(said.invert) }));
      return merged(all, said.behavior ?? "Isolated");
    };
  },
  Sequence({ pretokenizers }) {
    const steps = pretokenizers.map(splitter);
    return (text, first) =>
      steps.reduce((all, step) => all.flatMap((each, place) => step(each, first && place === 0)), text ? [text] : []);
  },
};

/** What makes text of tokens → how. @type {Record<string, (said: any) => (words: string[]) => string[]>} */
const DECODERS = {
  ByteLevel: () => (words) => {
    const bytes = words.flatMap((word) => {
      const own = Array.from(word, (letter) => BYTES.get(letter));
      // A token that was added need not be of the letters that stand for bytes.
      return own.includes(undefined) ? Array.from(new TextEncoder().encode(word)) : /** @type {number[]} */ (own);
    });
    return [new TextDecoder("utf-8", { ignoreBOM: true }).decode(Uint8Array.from(bytes))];
  },
  ByteFallback: () => (words) => {
    const found = [];
    let held = [];
    const letGo = () => {
      if (held.length) found.push(...spelled(held));
      held = [];
    };
    for (const word of words) {
      const byte = /^<0x([0-9A-F]{2})>$/.exec(word);
      if (byte) {
        held.push(parseInt(byte[1], 16));
        continue;
      }
      letGo();
      found.push(word);
    }
    letGo();
    return found;
  },
  Fuse: () => (words) => [words.join("")],
  Metaspace({ replacement: mark, prepend_scheme: scheme = "always" }) {
    const blank = (place) => (scheme !== "never" && place === 0 ? "" : " ");
    return (words) => words.map((word, place) => word.replaceAll(mark, blank(place)));
  },
  Replace(said) {
    const found = pattern(said.pattern);
    return (words) => words.map((word) => word.replace(found, () => said.content));
  },
  Strip({ content, start: first, stop: last }) {
    return (words) =>
      words.map((word) => {
        let [start, end] = [0, word.length];
        while (start < Math.min(first, word.length) && word[start] === content) start++;
        while (end > Math.max(start, word.length - last) && word[end - 1] === content) end--;
        return word.slice(start, end);
      });
  },
  Sequence({ decoders }) {
    const steps = decoders.map(decoder);
    return (words) => steps.reduce((all, step) => step(all), words);
  },
};

const normaliser = (said) => (said ? NORMALISERS[said.type](said) : (text) => text);
const splitter = (said) => (said ? SPLITTERS[said.type](said) : (text) => (text ? [text] : []));
const decoder = (said) => (said ? DECODERS[said.type](said) : (words) => [words.join(" ")]);

/** Whether all parts of a description are among those that are known. @param {any} said @param {any} known */
const are = (said, known) =>
  !said ||
  (Object.hasOwn(known, said.type) &&
    (said.normalizers ?? said.pretokenizers ?? said.decoders ?? []).every((each) => are(each, known)));

/** Whether words are parted into bytes. @param {any} said @returns {boolean} */
const ofBytes = (said) => said?.type === "ByteLevel" || (said?.pretokenizers ?? []).some(ofBytes);

/** @param {any} said What `tokenizer.json` holds. @returns {boolean} Whether it is such an encoding. */
export function isPairs({ model, normalizer, pre_tokenizer: before, decoder: after, post_processor: around }) {
  const odd = ["dropout", "continuing_subword_prefix", "end_of_word_suffix"].some((name) => model?.[name]);
  const put = [around, ...(around?.processors ?? [])].every(
    (each) =>
      !each ||
      ["ByteLevel", "TemplateProcessing", "Sequence", "BertProcessing", "RobertaProcessing"].includes(each.type),
  );
  const plain = (model?.type ?? "BPE") === "BPE" && Boolean(model?.merges) && !odd && put;
  return plain && are(normalizer, NORMALISERS) && are(before, SPLITTERS) && are(after, DECODERS);
}

/**
 * @param {any} said What `tokenizer.json` holds. @param {boolean} split Whether a special token's name is plain text.
 * @returns What `Tokenizer` takes; tokens do not tell what they cover.
 */
export function pairs(said, split) {
  const [normalise, part, show] = [normaliser(said.normalizer), splitter(said.pre_tokenizer), decoder(said.decoder)];
  const lookup = kept(lookupOf(said.model, ofBytes(said.pre_tokenizer)));
  const all = said.added_tokens ?? [];
  const own = all.filter((each) => each.content && !(split && each.special));
  const raw = own.filter((each) => !each.normalized);
  const late = own.filter((each) => each.normalized).map((each) => ({ ...each, content: normalise(each.content) }));
  const token = (id) => ({ id, start: -1, end: -1, word: null });
  const tokens = (text) => {
    let done = 0;
    return splitAt(traced(text), raw).flatMap(({ text: piece, id }) => {
      const first = done === 0;
      done += piece.text.length;
      if (id !== null) return [token(id)];
      return splitAt(traced(normalise(piece.text)), late).flatMap((each, place) =>
        each.id !== null
          ? [token(each.id)]
          : part(each.text.text, first && place === 0)
              .flatMap(lookup)
              .map(token),
      );
    });
  };
  /** @type {Map<number, string>} */
  const names = new Map(Object.entries(said.model.vocab).map(([name, id]) => [/** @type {number} */ (id), name]));
  for (const each of all) names.set(each.id, each.normalized ? normalise(each.content) : each.content);
  const special = new Set(all.filter((each) => each.special).map((each) => each.id));
  const decode = (ids) => {
    const words = ids.filter((id) => !special.has(id)).map((id) => names.get(id));
    return show(words.filter((word) => word !== undefined)).join("");
  };
  return { tokens, template: template(said.post_processor), decode };
}

/** What a pattern finds in a text, and what lies between. @param {string} text @param {RegExp} wanted */
function spans(text, wanted) {
  const all = [];
  let done = 0;
  for (const { 0: word, index } of text.matchAll(wanted)) {
    if (done < index) all.push({ text: text.slice(done, index), found: false });
    if (word) all.push({ text: word, found: true });
    done = index + word.length;
  }
  if (done < text.length) all.push({ text: text.slice(done), found: false });
  return all;
}

/** @param {{ text: string, found: boolean }[]} all @param {string} behaviour @returns {string[]} */
function merged(all, behaviour) {
  if (behaviour === "Isolated") return all.map((each) => each.text);
  if (behaviour === "Removed") return all.filter((each) => !each.found).map((each) => each.text);
  const words = [];
  let open = "";
  // What was found ends a word, or begins one.
  for (const { text, found } of all) {
    if (behaviour === "MergedWithNext" && found) [open] = [text, words.push(open)];
    else open += text;
    if (behaviour === "MergedWithPrevious" && found) [open] = ["", words.push(open)];
  }
  return [...words, open].filter(Boolean);
}

/** @param {(word: string) => number[]} lookup */
function kept(lookup) {
  const known = new Map();
  return (word) => {
    const found = known.get(word) ?? lookup(word);
    if (known.size < KEPT) known.set(word, found);
    return found;
  };
}

/** @param {any} model @param {boolean} bytes @returns {(word: string) => number[]} */
function lookupOf(model, bytes) {
  /** @type {Map<string, number>} */
  const known = new Map(Object.entries(model.vocab));
  /** @type {Map<string, Map<string, number>>} */
  const ranks = new Map();
  model.merges.forEach((pair, rank) => {
    const [left, right] = typeof pair === "string" ? pair.split(" ") : pair;
    if (!ranks.has(left)) ranks.set(left, new Map());
    if (!ranks.get(left)?.has(right)) ranks.get(left)?.set(right, rank);
  });
  const partsOf = bytes ? inBytes : (word) => inLetters(word, model, known);
  return (word) => {
    const parts = partsOf(word);
    const whole = bytes ? parts.join("") : word;
    if (model.ignore_merges && known.has(whole)) return [/** @type {number} */ (known.get(whole))];
    return joined(parts, ranks).map((each) => /** @type {number} */ (known.get(each)));
  };
}

/** @param {string} word */
const inBytes = (word) => Array.from(new TextEncoder().encode(word), (byte) => LETTERS[byte]);

/** Letters; of those that are not known their bytes, or what stands for all such. */
function inLetters(word, model, known) {
  const { unk_token: unknown, fuse_unk: fuse, byte_fallback: fallback } = model;
  const found = [];
  for (const letter of word) {
    const spelled = fallback
      ? Array.from(
          new TextEncoder().encode(letter),
          (byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`,
        )
      : [];
    if (known.has(letter)) found.push(letter);
    else if (spelled.length && spelled.every((each) => known.has(each))) found.push(...spelled);
    else if (unknown && !(fuse && found.at(-1) === unknown)) found.push(unknown);
  }
  return found;
}

/**
 * Neighbours joined by rank, of equal ones the first, until no pair has one.
 *
 * @param {string[]} parts @param {Map<string, Map<string, number>>} ranks @returns {string[]}
 */
function joined(parts, ranks) {
  /** @type {(string | null)[]} */
  const found = [...parts];
  const [before, after] = [found.map((_, place) => place - 1), found.map((_, place) => place + 1)];
  const waiting = new Heap();
  const wait = (left, right) => {
    const [one, other] = [found[left], found[right]];
    const rank = one && other ? ranks.get(one)?.get(other) : undefined;
    if (rank !== undefined) waiting.push({ rank, left, one, other });
  };
  for (let place = 1; place < found.length; place++) wait(place - 1, place);
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    const { left, one, other } = next;
    const right = after[left];
    if (found[left] !== one || found[right] !== other) continue; // One of them was joined since.
    [found[left], found[right]] = [one + other, null];
    after[left] = after[right];
    if (after[left] < found.length) before[after[left]] = left;
    wait(before[left], left);
    wait(left, after[left]);
  }
  return /** @type {string[]} */ (found.filter((each) => each !== null));
}

/** Pairs that may be joined, the one of the lowest rank first, of equal ones the first in the word. */
class Heap {
  /** @type {any[]} */
  all = [];

  less(one, other) {
    return one.rank - other.rank || one.left - other.left;
  }

  push(each) {
    const { all } = this;
    let place = all.push(each) - 1;
    while (place > 0) {
      const above = (place - 1) >> 1;
      if (this.less(all[above], all[place]) <= 0) return;
      [all[above], all[place], place] = [all[place], all[above], above];
    }
  }

  pop() {
    const { all } = this;
    const top = all[0];
    const last = all.pop();
    if (all.length === 0) return top;
    all[0] = last;
    for (let place = 0; ;) {
      const [left, right] = [2 * place + 1, 2 * place + 2];
      let least = place;
      if (left < all.length && this.less(all[left], all[least]) < 0) least = left;
      if (right < all.length && this.less(all[right], all[least]) < 0) least = right;
      if (least === place) return top;
      [all[least], all[place], place] = [all[place], all[least], least];
    }
  }
}

/** What bytes say; where they say nothing, each is U+FFFD. @param {number[]} held */
function spelled(held) {
  try {
    return [new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(held))];
  } catch {
    return held.map(() => "\ufffd");
  }
}
