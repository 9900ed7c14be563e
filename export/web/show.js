// @ts-check
/** What is shown, and how. */

import { writeWav } from "../js/wav.js";

const SVG = "http://www.w3.org/2000/svg";

/** Numbers of an answer that are shown. */
const SHOWN = 100;

/** @param {string} id @returns {any} */
export const element = (id) => document.getElementById(id);

/** @param {number} share */
const small = (share) => (share === 0 ? "0" : share.toExponential(1));

/** @param {string} tag @param {string} text */
function made(tag, text) {
  const found = document.createElement(tag);
  found.textContent = text;
  return found;
}

/** @param {{ file: string | null, message: string }[]} findings */
export function showFindings(findings) {
  const section = element("problems");
  section.hidden = findings.length === 0;
  const lines = findings.map(({ file, message }) => made("li", file ? `${file}: ${message}` : message));
  section.querySelector("ul").replaceChildren(...lines);
}

/** @param {import("../js/decode.js").Answer} answer @param {string[]} labels */
export function showAnswer(answer, labels) {
  const output = element("answer");
  output.hidden = Boolean(answer.samples);
  for (const id of ["course", "played"]) element(id).hidden = true;
  if (answer.samples) return showSound(writeWav(answer.samples, answer.rate));
  output.replaceChildren(...lines(answer));
  if (answer.probabilities)
    showCourse(
      answer.probabilities.map((score) => ({ label: answer.label, score })),
      labels,
    );
}

/**
 * @param {string} text As far as it was said.
 * @param {import("../js/writer.js").Said} [said] The answer, once it is whole.
 */
export function showWriting(text, said = undefined) {
  const output = element("answer");
  output.hidden = false;
  for (const id of ["course", "played"]) element(id).hidden = true;
  const words = made("p", text);
  words.className = "written";
  const steps = said?.step_ns ?? [];
  const spent = steps.reduce((sum, each) => sum + each, 0);
  const pace = spent ? `, ${((steps.length / spent) * 1e9).toFixed(0)} tokens a second after it` : "";
  const first = `first token after ${((said?.first_ns ?? 0) / 1e6).toPrecision(3)} ms`;
  const told = said ? [made("p", `${said.tokens.length} tokens, ended by ${said.end}; ${first}${pace}.`)] : [];
  output.replaceChildren(words, ...told);
}

/** @param {Blob} file */
export function showPicture(file) {
  const preview = element("preview");
  const image = preview.querySelector("img");
  URL.revokeObjectURL(image.src);
  image.src = URL.createObjectURL(file);
  preview.querySelector("svg").replaceChildren();
  preview.hidden = false;
}

/**
 * Draws boxes over the picture, and names them.
 *
 * @param {import("../js/boxes.js").Seen[]} boxes
 * @returns {HTMLElement[]}
 */
function boxed(boxes) {
  const rectangles = boxes.map(({ box: [x, y, width, height] }) => {
    const found = document.createElementNS(SVG, "rect");
    for (const [name, value] of Object.entries({ x, y, width, height })) found.setAttribute(name, String(value));
    return found;
  });
  element("preview")
    .querySelector("svg")
    .replaceChildren(...rectangles);
  if (boxes.length === 0) return [made("p", "Nothing that the model knows.")];
  return boxes.map(({ label, score }) => made("p", `${label}: ${(100 * score).toFixed(1)} %`));
}

/** @param {any} answer @returns {HTMLElement[]} */
function lines(answer) {
  if (answer.boxes) return boxed(answer.boxes);
  if (answer.answer !== undefined) return [made("p", answer.answer || "No answer in this text.")];
  if (Array.isArray(answer)) return [made("p", JSON.stringify(answer.slice(0, SHOWN)))];
  if (answer.label !== undefined) return labelled(answer.label, answer.score ?? answer.share, answer.known);
  const inner = ([name, own]) =>
    own?.label === undefined ? [made("p", `${name}: ${JSON.stringify(own)}`)] : [made("p", name), ...lines(own)];
  return Object.entries(answer).flatMap(inner);
}

/** @param {string} label @param {number} share @param {boolean | undefined} known */
function labelled(label, share, known) {
  const line = made("div", "");
  line.className = "label";
  const told = Number.isFinite(share);
  line.append(made("span", label), made("span", told ? `${(100 * share).toFixed(1)} %` : "no number"));
  const meter = document.createElement("meter");
  meter.value = told ? share : 0;
  meter.setAttribute("aria-label", "probability");
  return [line, meter, ...(known === false ? [made("p", "Perhaps of no class that the model knows.")] : [])];
}

/** How the last label's probability went, frame by frame. @param {any[]} answers @param {string[]} labels */
export function showCourse(answers, labels) {
  const figure = element("course");
  const shown = labels.at(-1);
  const values = answers.map(({ label, score }) =>
    label === shown ? score || 0 : labels.length === 2 ? 1 - score : 0,
  );
  figure.hidden = answers.length < 2 || answers.some((each) => each.score === undefined);
  if (figure.hidden) return;
  const step = 600 / (values.length - 1);
  const path = document.createElementNS(SVG, "path");
  path.setAttribute(
    "d",
    values
      .map((value, place) => `${place ? "L" : "M"}${(place * step).toFixed(1)} ${(76 - 72 * value).toFixed(1)}`)
      .join(""),
  );
  figure.querySelector("svg").replaceChildren(path);
  figure.querySelector("svg").setAttribute("aria-label", `probability of ${shown} over ${values.length} frames`);
  figure.querySelector("figcaption").textContent = `Probability of “${shown}” over ${values.length} frames.`;
}

/** @param {Uint8Array} file A WAV file. */
export function showSound(file) {
  const [player, save] = [element("played").querySelector("audio"), element("played").querySelector("a")];
  URL.revokeObjectURL(player.src);
  player.src = save.href = URL.createObjectURL(new Blob([/** @type {BlobPart} */ (file)], { type: "audio/wav" }));
  element("played").hidden = false;
}

/** @param {any} found What the golden rows gave. */
export function showGolden({ rows, prepared, outputs, findings }) {
  const section = element("golden");
  section.hidden = false;
  const badge = section.querySelector(".badge");
  badge.textContent = findings.length ? "fail" : "hold";
  badge.className = `badge ${findings.length ? "fails" : "holds"}`;
  const apart = outputs.map(({ name, apart, limit, mismatch }) =>
    mismatch
      ? `${name}: ${mismatch}`
      : `${name} is off by ${small(apart)} of its largest magnitude, at most ${small(limit)}`,
  );
  const texts = prepared ? `; ${prepared} texts become the tokens that they must` : "";
  section.querySelector("p").textContent = `${rows} real inputs: ${apart.join("; ")}${texts}.`;
  if (findings.length) showFindings(findings);
}
