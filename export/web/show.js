// @ts-check
/** What is shown, and how. */

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

/** @param {import("../js/decode.js").Answer | undefined} answer */
export function showAnswer(answer) {
  const output = element("answer");
  output.hidden = false;
  output.replaceChildren(...(answer ? lines(answer) : [made("p", "No answer: the sound is shorter than a frame.")]));
}

/** @param {any} answer @returns {HTMLElement[]} */
function lines(answer) {
  if (answer.heads) return Object.entries(answer.heads).flatMap(([name, own]) => [made("p", name), ...lines(own)]);
  if (answer.numbers) return [made("p", answer.numbers.slice(0, 100).map((each) => each.toPrecision(4)).join(", "))];
  if (answer.label === undefined) return [made("p", JSON.stringify(answer))];
  const line = made("div", "");
  line.className = "label";
  line.append(made("span", answer.label), made("span", `${(100 * answer.score).toFixed(1)} %`));
  const meter = document.createElement("meter");
  meter.value = answer.score;
  meter.setAttribute("aria-label", "probability");
  const unknown = answer.known === false ? [made("p", "Perhaps of no class that the model knows.")] : [];
  return [line, meter, ...unknown];
}

/** How the last label's probability went. @param {any[]} answers @param {string[]} labels */
export function showCourse(answers, labels) {
  const figure = element("course");
  const shown = labels[labels.length - 1];
  const values = answers.map((each) => (each.label === shown ? each.score : 1 - each.score));
  figure.hidden = answers.length < 2 || labels.length !== 2 || values.some((each) => !(each >= 0));
  if (figure.hidden) return;
  const step = 600 / (values.length - 1);
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", values.map((value, place) => `${place ? "L" : "M"}${(place * step).toFixed(1)} ${(76 - 72 * value).toFixed(1)}`).join(""));
  figure.querySelector("svg").replaceChildren(path);
  figure.querySelector("svg").setAttribute("aria-label", `probability of ${shown} over ${values.length} frames`);
  figure.querySelector("figcaption").textContent = `Probability of “${shown}” over ${values.length} frames.`;
}

/** @param {any} found What the golden rows gave. */
export function showGolden({ rows, prepared, outputs, findings }) {
  const section = element("golden");
  section.hidden = false;
  const badge = section.querySelector(".badge");
  badge.textContent = findings.length ? "fail" : "hold";
  badge.className = `badge ${findings.length ? "fails" : "holds"}`;
  const apart = outputs.map(({ name, apart, limit }) => `${name} is off by ${small(apart)} of its largest magnitude, at most ${small(limit)}`);
  const texts = prepared ? `; ${prepared} texts become the tokens that they must` : "";
  section.querySelector("p").textContent = `${rows} real inputs: ${apart.join("; ")}${texts}.`;
  if (findings.length) showFindings(findings);
}
