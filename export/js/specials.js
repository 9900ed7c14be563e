// @ts-check
/** Tokens that were added to a vocabulary, which are found by their name before anything else is made of a text. */

import { part } from "./wordpiece.js";

/**
 * A text around the tokens that were added to the vocabulary: where several begin at one place the longest is taken.
 *
 * @param {import("./wordpiece.js").Traced} whole @param {any[]} own
 * @returns {{ text: import("./wordpiece.js").Traced, id: number | null }[]} Pieces; null where none of the tokens is.
 */
export function splitAt(whole, own) {
  const { text } = whole;
  const found = [];
  let rest = 0;
  const order = [...own].sort((one, other) => other.content.length - one.content.length);
  for (let at = 0; at < text.length;) {
    const said = order.find((each) => text.startsWith(each.content, at));
    let [start, end] = [at, at + (said?.content.length ?? 1)];
    if (
      !said ||
      (said.single_word && (/[\p{L}\p{N}_]$/u.test(text.slice(0, at)) || /^[\p{L}\p{N}_]/u.test(text.slice(end))))
    ) {
      at = end;
      continue;
    }
    if (said.lstrip) start -= /\p{White_Space}*$/u.exec(text.slice(rest, start))?.[0].length ?? 0;
    if (said.rstrip) end += /^\p{White_Space}*/u.exec(text.slice(end))?.[0].length ?? 0;
    if (start > rest) found.push({ text: part(whole, rest, start), id: null });
    found.push({ text: part(whole, start, end), id: said.id });
    rest = at = end;
  }
  if (rest < text.length) found.push({ text: part(whole, rest, text.length), id: null });
  return found;
}
