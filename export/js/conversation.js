// @ts-check
/** Prompts and conversations → the tokens that ask for an answer, by the contract's `turns` (export/BUNDLE.md). */

import { trimmed as stripped } from "./blanks.js";
import { refused } from "./refused.js";

const ASSISTANT = "assistant";

/**
 * @param {import("./tokenizer.js").Tokenizer} tokenizer
 * @param {any} said The contract's `preparation`.
 * @param {number[]} stop Tokens that end an answer.
 * @returns {(row: Record<string, any>) => number[]}
 */
export function conversation(tokenizer, said, stop) {
  const plain = (text) => tokenizer.tokens(text).map((token) => token.id);
  const begin = tokenizer.encode("").ids.filter((id) => !stop.includes(id));
  const ended = (ids) => (stop.length && !ids.some((id) => stop.includes(id)) ? [...ids, stop[0]] : ids);
  return (row) => {
    const found =
      row.text === undefined
        ? parts(messages(row), said).flatMap(({ text, answer }) => (answer ? ended(plain(text)) : plain(text)))
        : plain(worded(row.text));
    return begin.length && begin.every((id, place) => found[place] === id) ? found : [...begin, ...found];
  };
}

/**
 * A conversation up to where an answer begins, cut where answers begin and end.
 *
 * @param {{ role: string, content: string }[]} said @param {any} preparation
 * @returns {{ text: string, answer: boolean }[]}
 */
function parts(said, { turns, trimmed = [] }) {
  if (!turns) {
    const message = "preparation.turns must be there, got none: this template is no table";
    throw refused("contract", message, "contract.json");
  }
  if (said.at(-1)?.role === ASSISTANT)
    throw refused("input", "messages must end with one that is not the assistant's, got its own");
  const join = (before, after) => {
    const found = turns[before]?.[after];
    if (found === undefined)
      throw refused("input", `messages must take turns that the template has, got ${after} after ${before}`);
    return found;
  };
  const found = [];
  let [text, before] = ["", "start"];
  for (const { role, content } of said) {
    const words = trimmed.includes(role) ? stripped(content) : content;
    const between = join(before, role);
    // What ends an answer was written with it.
    text += before === ASSISTANT ? between.slice(join(ASSISTANT, "end").length) : between;
    if (role === ASSISTANT) {
      const asked = join(before, "asked");
      found.push({ text: text.slice(0, text.length - between.length + asked.length), answer: false });
      found.push({ text: between.slice(asked.length) + words + join(ASSISTANT, "end"), answer: true });
      text = "";
    } else text += words;
    before = role;
  }
  return [...found, { text: text + join(before, "asked"), answer: false }];
}

/** The conversation of a row. @param {any} row @returns {{ role: string, content: string }[]} */
function messages(row) {
  let said = row.messages;
  if (said === undefined && row.prompt === undefined) {
    throw refused("input", `a row must have 'prompt' or 'messages', got ${Object.keys(row).join(", ") || "nothing"}`);
  }
  if (said === undefined) {
    const asked = [row.prompt, row.context].filter((each) => stripped(String(each ?? ""))).join("\n\n");
    said = [...(row.system ? [{ role: "system", content: row.system }] : []), { role: "user", content: asked }];
  }
  if (!Array.isArray(said) || said.length === 0 || said.some((each) => typeof each !== "object" || each === null))
    throw refused("input", "messages must be a list of objects with role and content, got something else");
  return said.map(({ role, content }) => ({ role: String(role), content: worded(content) }));
}

/** @param {any} value @returns {string} */
export function worded(value) {
  if (typeof value === "string" && stripped(value)) return value;
  throw refused("input", `a prompt must hold words, got ${typeof value === "string" ? "none" : typeof value}`);
}
