// @ts-check
/** The page: what a person sees and does. The model runs in a worker. */

import { resampled } from "../js/audio.js";
import { writeWav } from "../js/wav.js";
import { sound } from "./files.js";
import { Latency } from "./latency.js";
import { listen } from "./microphone.js";
import { Remote } from "./remote.js";
import {
  element,
  showAnswer,
  showCourse,
  showFindings,
  showGolden,
  showPicture,
  showSound,
  showWriting,
} from "./show.js";

const query = new URLSearchParams(location.search);

/** Of a model that does not say at what rate it reads sounds, as speech usually comes. */
const RATE = 16000;

/** Kind of preparation → which part of the page gives rows. */
const PARTS = {
  text: "text",
  words: "text",
  "text-pair": "text",
  conversation: "text",
  image: "picture",
  audio: "sound",
  frames: "sound",
  arrays: "arrays",
};

/** @type {Remote | null} */
let remote = null;
/** @type {any} */
let about = null;
const latency = new Latency(query.get("send"));

/** @param {string} op @param {object} [asked] @param {(part: any) => void} [each] */
const ask = (op, asked, each = undefined) => /** @type {Remote} */ (remote).ask(op, asked, each);

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
  } catch (error) {
    showFindings(error.findings ?? [{ file: null, message: error.message }]);
  } finally {
    status("");
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
    const asked = { place, provider, threads: Number(threads), variant: variant || undefined };
    about = await ask("open", asked);
    introduce();
    latency.reset(about, asked);
    status("Running the golden rows…");
    showGolden(await ask("golden"));
  });

/** Shows what the bundle is. */
function introduce() {
  const { name, version, task, labels, variant, runtime, provider, threads, preparation, decoding, hop } = about;
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
  const taken = choice.value;
  choice.replaceChildren(
    new Option("the one that fits first", ""),
    ...about.variants.map((each) => new Option(each, each)),
  );
  choice.value = about.variants.includes(taken) ? taken : "";
  element("variants").hidden = about.variants.length < 2;
  const part = hop ? "sound" : PARTS[preparation.kind];
  for (const each of ["text", "picture", "sound", "arrays"]) element(each).hidden = each !== part;
  element("question").hidden = preparation.kind !== "text-pair";
  element("writing").hidden = decoding !== "generation";
  element("microphone").hidden = !(hop && preparation.rate && navigator.mediaDevices);
  for (const each of ["answer", "course", "played", "preview"]) element(each).hidden = true;
  for (const each of ["try", "latency"]) element(each).hidden = false;
}

/** @param {(columns: string[]) => Promise<any> | any} row Of the contract's columns. */
const answer = (row) =>
  doing("Answering…", async () =>
    showAnswer(await ask("answer", { row: await row(about.preparation.columns) }), about.labels),
  );

/** What a model says that answers token by token, as it comes. @param {any} row */
const say = (row) =>
  doing("Answering…", async () => {
    let text = "";
    const options = { most: Number(element("most").value) || undefined, temperature: Number(element("heat").value) };
    showWriting(text);
    const said = await ask("say", { row, options }, (piece) => showWriting((text += piece)));
    showWriting(said.text, said);
  });

/** What a model answers to a sound; of one that streams, how it went. @param {Blob} file */
const listenTo = (file) =>
  doing("Listening…", async () => {
    const heard = await sound(file, about.preparation.rate ?? RATE);
    showAnswer(await ask("answer", { row: { [about.preparation.columns[0]]: heard } }), about.labels);
    if (!about.hop || about.decoding === "frames") return;
    await ask("begin");
    const rate = about.preparation.rate ?? heard.rate;
    showCourse(await ask("push", { samples: resampled(heard.samples, heard.rate, rate) }), about.labels);
  });

/** Answers a microphone's samples until it is asked to stop. */
async function hear() {
  const button = element("microphone");
  if (button.dataset.stop) return;
  await doing("Listening…", async () => {
    const { rate } = about.preparation;
    await ask("begin");
    const answers = [];
    const stop = await listen(rate, async (samples) => {
      answers.push(...(await ask("push", { samples })));
      if (about.decoding !== "frames" && answers.length) showAnswer(answers.at(-1), about.labels);
      showCourse(answers.slice(-300), about.labels);
    });
    [button.disabled, button.textContent, button.dataset.stop] = [false, "Stop", "yes"];
    await new Promise((resolve) => button.addEventListener("click", resolve, { once: true }));
    delete button.dataset.stop;
    button.textContent = "Listen";
    await stop();
    if (about.decoding === "frames")
      showSound(writeWav(Float32Array.from(answers.flatMap((each) => [...each.samples])), rate));
  });
}

/** @param {string} id @param {string} event @param {() => void} work */
function on(id, event, work) {
  element(id).addEventListener(event, (happened) => {
    happened.preventDefault();
    work();
  });
}

/** Opens what the form says. */
function chosen() {
  const [file] = element("archive").files;
  const address = element("address").value.trim();
  if (file || address) open(file ?? new URL(address, location.href).href);
}

/** What was typed. @param {string[]} columns Of a pair the question's, then the passage's. */
function written([first, second]) {
  const text = element("input").value;
  if (about.preparation.kind === "conversation" && first !== "text") return { prompt: text };
  return second ? { [first]: element("question").querySelector("input").value, [second]: text } : { [first]: text };
}

/** Shows a picture that was chosen, and answers it. */
function looked() {
  const [file] = element("image").files;
  showPicture(file);
  answer(([column]) => ({ [column]: file }));
}

on("open", "submit", chosen);
on("archive", "change", chosen);
on("address", "input", () => (element("archive").value = ""));
on("text", "submit", () =>
  about.decoding === "generation" ? say(written(about.preparation.columns)) : answer(written),
);
on("arrays", "submit", () => answer(() => JSON.parse(element("json").value)));
on("image", "change", looked);
on("audio", "change", () => listenTo(element("audio").files[0]));
on("microphone", "click", hear);

const most = crossOriginIsolated ? navigator.hardwareConcurrency : 1;
element("threads").replaceChildren(
  ...Array.from({ length: Math.min(most, 8) }, (_, place) => new Option(String(place + 1))),
);
for (const id of ["provider", "threads"]) if (query.has(id)) element(id).value = query.get(id);
navigator.serviceWorker?.register("sw.js").catch(() => {}); // Without it the page works, but not without a network.
if (query.has("bundle")) {
  element("address").value = query.get("bundle");
  chosen();
}
