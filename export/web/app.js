// @ts-check
/** The page: what a person sees and does. The model runs in a worker. */

import { soundRow } from "./files.js";
import { Latency } from "./latency.js";
import { Remote } from "./remote.js";
import { listen } from "./microphone.js";
import { showAnswer, showCourse, showFindings, showGolden, element } from "./show.js";

const query = new URLSearchParams(location.search);

/** Of a model that does not say at what rate it reads sounds, as speech usually comes. */
const RATE = 16000;

/** @type {Remote | null} */
let remote = null;
/** @type {any} */
let about = null;
const latency = new Latency(() => /** @type {Remote} */ (remote), query.get("send"));

/** @param {string} text */
const status = (text) => (element("status").textContent = text);

/** Does something that may be refused, and says so. @param {string} text @param {() => Promise<void>} work */
async function doing(text, work) {
  const buttons = /** @type {HTMLButtonElement[]} */ ([...document.querySelectorAll("button")]);
  buttons.forEach((button) => (button.disabled = true));
  status(text);
  showFindings([]);
  try {
    await work();
    status("");
  } catch (error) {
    status("");
    showFindings(error.findings ?? [{ file: null, message: error.message }]);
  } finally {
    buttons.forEach((button) => (button.disabled = false));
  }
}

/** @param {string | Blob} place */
const open = (place) =>
  doing("Loading…", async () => {
    remote?.close();
    remote = new Remote();
    for (const id of ["try", "golden", "latency"]) element(id).hidden = true;
    const [provider, threads, variant] = ["provider", "threads", "variant"].map((id) => element(id).value);
    about = await remote.ask("open", { place, provider, threads: Number(threads), variant: variant || undefined });
    introduce();
    status("Running the golden rows…");
    showGolden(await remote.ask("golden"));
  });

/** Shows what the bundle is. */
function introduce() {
  const { name, version, task, labels, role, variant, runtime, provider, threads } = about;
  document.title = `${name} – edgesft bundle`;
  element("name").textContent = `${name}, version ${version}`;
  const size = `${(variant.bytes / 1e6).toPrecision(3)} MB`;
  const classes = labels.length ? `, ${labels.length} labels` : "";
  element("about").textContent =
    `${task}${classes}. Model ${variant.name} (${variant.precision}, ${size}) on ${provider} of ONNX Runtime ${runtime}` +
    `${threads > 1 ? `, ${threads} threads` : ""}.`;
  element("choice").open = false;
  element("choice").querySelector("summary").textContent = "Another bundle, or otherwise";
  const choice = element("variant");
  const options = [new Option("the one that fits first", ""), ...about.variants.map((each) => new Option(each, each))];
  const taken = choice.value;
  choice.replaceChildren(...options);
  choice.value = about.variants.includes(taken) ? taken : "";
  element("variants").hidden = about.variants.length < 2;
  for (const each of ["text", "picture", "sound", "arrays"]) element(each).hidden = each !== role;
  element("microphone").hidden = !(role === "sound" && about.preparation.rate && navigator.mediaDevices);
  for (const each of ["answer", "course", "played", "preview"]) element(each).hidden = true;
  for (const each of ["try", "latency"]) element(each).hidden = false;
  latency.reset(about);
}

/** Shows the answers to a row as they come. @param {any} row */
const answer = (row) =>
  doing("Answering…", async () => {
    const answers = [];
    await /** @type {Remote} */ (remote).ask("answers", { row }, (each) => answers.push(each));
    showAnswer(answers.at(-1));
    showCourse(answers, about.labels);
  });

/** Answers a microphone's samples until it is asked to stop. */
async function hear() {
  const button = element("microphone");
  if (button.dataset.stop) return;
  await doing("Listening…", async () => {
    await /** @type {Remote} */ (remote).ask("restart");
    const answers = [];
    const stop = await listen(about.preparation, async (sound) => {
      for (const each of await framesOf(sound)) answers.push(each);
      showAnswer(answers.at(-1));
      showCourse(answers.slice(-200), about.labels);
    });
    button.disabled = false;
    button.textContent = "Stop";
    button.dataset.stop = "yes";
    await new Promise((resolve) => button.addEventListener("click", resolve, { once: true }));
    delete button.dataset.stop;
    button.textContent = "Listen";
    stop();
  });
}

/** @param {any} sound */
const framesOf = async (sound) => /** @type {Remote} */ (remote).ask("push", { row: { sound } }).then((found) => [found].flat());

/** @param {string} id @param {string} event @param {(event: any) => void} work */
function on(id, event, work) {
  element(id).addEventListener(event, (happened) => {
    happened.preventDefault();
    work(happened);
  });
}

on("open", "submit", () => {
  const [file] = element("archive").files;
  const address = element("address").value.trim();
  if (file || address) open(file ?? new URL(address, location.href).href);
});
on("archive", "change", () => element("archive").files[0] && open(element("archive").files[0]));
on("address", "input", () => (element("archive").value = ""));
on("text", "submit", () => answer({ text: element("input").value }));
on("arrays", "submit", () => doing("", async () => answer({ arrays: JSON.parse(element("json").value) })));
on("image", "change", () => {
  const [file] = element("image").files;
  const preview = element("preview");
  URL.revokeObjectURL(preview.src);
  preview.src = URL.createObjectURL(file);
  preview.hidden = false;
  answer({ file });
});
on("audio", "change", () => doing("Reading…", async () => answer(await soundRow(element("audio").files[0], about.preparation.rate ?? RATE))));
on("microphone", "click", hear);

const most = crossOriginIsolated ? navigator.hardwareConcurrency : 1;
element("threads").replaceChildren(...Array.from({ length: Math.min(most, 8) }, (_, place) => new Option(String(place + 1))));
for (const id of ["provider", "threads"]) if (query.has(id)) element(id).value = query.get(id);
navigator.serviceWorker?.register("sw.js").catch(() => {}); // Without it the page works, but not without a network.
if (query.has("bundle")) {
  element("address").value = query.get("bundle");
  open(new URL(query.get("bundle"), location.href).href);
}
