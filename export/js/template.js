// @ts-check
/** What stands around the tokens of a text, or of two: special tokens, and which part each token is of. */

import { refused } from "./refused.js";

/**
 * @typedef {object} Place
 * @property {number[]} ids Of a special token; empty for a text.
 * @property {number | null} text Which text, 0 or 1; null for a special token.
 * @property {number} type What its tokens' type is.
 *
 * @typedef {{ single: Place[], pair: Place[], further: Place[] }} Template `further` is of the windows after the first,
 *   where `tokenizers` leaves the types of texts as they were before.
 */

/** The text alone. @type {Template} */
const BARE = (() => {
  const [first, second] = [0, 1].map((text) => ({ ids: [], text, type: text }));
  return { single: [first], pair: [first, second], further: [first, second] };
})();

/** @param {any} said `tokenizer.json`'s `post_processor`. @returns {Template} */
export function template(said) {
  if (!said || said.type === "ByteLevel") return BARE;
  if (said.type === "Sequence") return said.processors.map(template).find((each) => each !== BARE) ?? BARE;
  if (said.type === "BertProcessing" || said.type === "RobertaProcessing") {
    const [first, last] = [said.cls[1], said.sep[1]].map((id) => ({ ids: [id], text: null, type: 0 }));
    const single = [first, { ids: [], text: 0, type: 0 }, last];
    if (said.type === "RobertaProcessing") {
      const pair = [...single, last, { ids: [], text: 1, type: 0 }, last];
      return { single, pair, further: pair };
    }
    const pair = [...single, { ids: [], text: 1, type: 1 }, { ...last, type: 1 }];
    return { single, pair, further: pair };
  }
  if (said.type !== "TemplateProcessing") {
    throw refused("contract", `post_processor must be a template, got '${said.type}'`, "processor/tokenizer.json");
  }
  const [single, pair] = [said.single, said.pair].map((places) => places.map((each) => place(each, said)));
  return { single, pair, further: pair.map((each) => (each.text === null ? each : { ...each, type: each.text })) };
}

/** @param {any} each @param {any} said @returns {Place} */
function place({ Sequence: sequence, SpecialToken: special }, said) {
  if (sequence) return { ids: [], text: "AB".indexOf(sequence.id), type: sequence.type_id };
  return { ids: said.special_tokens[special.id].ids, text: null, type: special.type_id };
}

/** @param {Place[]} places @returns {number} How many special tokens there are. */
export const added = (places) => places.reduce((sum, each) => sum + each.ids.length, 0);
