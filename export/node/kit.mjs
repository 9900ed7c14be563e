#!/usr/bin/env node
// @ts-check
/** The command line: opens a bundle, and answers, checks or measures. */

import { writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";

import { Kit, take } from "../js/kit.js";
import { measure } from "../js/measure.js";
import { Refused, refused } from "../js/refused.js";
import { writeWav } from "../js/wav.js";
import { openFiles } from "./files.js";
import { rows } from "./rows.js";
import { nodeRuntime } from "./runtime.js";

const USAGE = `node kit.mjs BUNDLE                           what it is, and which of its models this device takes
node kit.mjs BUNDLE --text "…"                its answer to a text, an answer a line
node kit.mjs BUNDLE --question "…" --text "…"  … to a question, from a passage
node kit.mjs BUNDLE --file x.png              … to a picture, a sound (WAV), or to rows of text or numbers (JSON lines)
node kit.mjs BUNDLE --file noisy.wav --output clear.wav      what a model of sound makes of it, frame by frame
node kit.mjs BUNDLE --text "…" --max-tokens 60               of a model that writes, as it comes: --temperature, --top-k, --top-p, --seed, --system
node kit.mjs BUNDLE --golden                  do the golden rows hold on this device? exit code 0 or 1
node kit.mjs BUNDLE --measure > device.jsonl  latency, for edgesft check --measurements

  --provider cpu|webgpu|…  --threads 1  --variant NAME (instead of the one that fits first)
  --samples 300  --seconds 5  --rounds 20  --warmup-seconds 5      how long it measures`;

const OPTIONS = /** @type {const} */ ({
  text: { type: "string", multiple: true },
  question: { type: "string" },
  file: { type: "string", multiple: true },
  output: { type: "string" },
  system: { type: "string" },
  "max-tokens": { type: "string", default: "128" },
  temperature: { type: "string", default: "0" },
  "top-k": { type: "string", default: "0" },
  "top-p": { type: "string", default: "1" },
  seed: { type: "string", default: "0" },
  golden: { type: "boolean" },
  measure: { type: "boolean" },
  provider: { type: "string", default: "cpu" },
  threads: { type: "string", default: "1" },
  variant: { type: "string" },
  samples: { type: "string", default: "300" },
  seconds: { type: "string", default: "5" },
  rounds: { type: "string", default: "20" },
  "warmup-seconds": { type: "string", default: "5" },
  help: { type: "boolean" },
});

/** @param {unknown} value Becomes a line of the standard output. */
const say = (value) => process.stdout.write(`${typeof value === "string" ? value : JSON.stringify(value)}\n`);

/** @param {any} options @param {string} name */
function number(options, name) {
  const value = Number(options[name]);
  if (!(value > 0)) throw refused("input", `--${name} must be a number above 0, got '${options[name]}'`);
  return value;
}

/** @param {Kit} kit */
function about({ bundle, model, provider }) {
  const {
    manifest: { name, version },
    contract: { task, labels, preparation },
  } = bundle;
  say({ name, version, task, labels, reads: preparation.kind, variant: model.variant.name, provider });
}

/** @param {Kit} kit @returns {Promise<number>} Exit code. */
async function golden(kit) {
  const found = await kit.golden();
  for (const { name, apart, limit } of found.outputs)
    say(`golden rows: ${name} is off by ${apart.toPrecision(2)} of its largest magnitude, at most ${limit}`);
  if (found.prepared) say(`golden rows: ${found.prepared} texts become the tokens that they must`);
  for (const { file, message } of found.findings) process.stderr.write(`${file}: ${message}\n`);
  say(`golden rows: ${found.findings.length ? "fail" : "hold"} (${found.rows})`);
  return found.findings.length ? 1 : 0;
}

/** An answer token by token as it comes, and how fast; of a file's rows a line of JSON each.
 *
 * @param {Kit} kit @param {import("../js/prepare.js").Row} row @param {any} options
 */
async function written(kit, row, options) {
  const [most, temperature, topK, topP, seed] = ["max-tokens", "temperature", "top-k", "top-p", "seed"].map((name) =>
    Number(options[name]),
  );
  const told = options.file ? undefined : (piece) => process.stdout.write(piece);
  const said = await kit.say(row, { most, temperature, topK, topP, seed, told });
  if (options.file) return say(said);
  say("");
  const { tokens, end, first_ns: first, step_ns: steps } = said;
  const pace = steps.length ? (steps.length / steps.reduce((sum, each) => sum + each, 0)) * 1e9 : null;
  const after = pace === null ? "" : `, ${pace.toFixed(0)} tokens/s after it`;
  process.stderr.write(
    `${tokens.length} tokens, ended by ${end}; first after ${(first / 1e6).toFixed(1)} ms${after}\n`,
  );
}

/** @param {Kit} kit @param {any} options */
async function answers(kit, options) {
  for await (const row of rows(kit.bundle.contract, options)) {
    if (kit.writer) {
      await written(kit, row, options);
      continue;
    }
    const answer = await kit.answer(row);
    const { rate, samples } = answer;
    if (samples && options.output) await writeFile(options.output, writeWav(samples, rate));
    say(samples ? { rate, samples: samples.length, file: options.output } : answer);
  }
}

/** @param {string[]} words @returns {Promise<number>} Exit code, as edgesft has them. */
async function main(words) {
  const { values, positionals } = parseArgs({ args: words, options: OPTIONS, allowPositionals: true });
  const options = /** @type {any} */ (values);
  if (options.help || positionals.length !== 1) {
    (options.help ? say : console.error)(USAGE);
    return options.help ? 0 : 2;
  }
  const [threads, samples, seconds, rounds] = ["threads", "samples", "seconds", "rounds"].map((name) =>
    number(options, name),
  );
  const runtime = await nodeRuntime(options.provider);
  const source = await openFiles(positionals[0]);
  const own = { threads, variant: options.variant };
  if (options.measure) {
    const settings = { samples, seconds, rounds, warmupSeconds: number(options, "warmup-seconds") };
    for await (const line of measure(await take(source, runtime, own), runtime, settings)) say(line);
    return 0;
  }
  const kit = await Kit.open(source, runtime, own);
  await answers(kit, options);
  if (options.golden) return golden(kit);
  if (!options.text && !options.file) about(kit);
  return 0;
}

// Whoever reads the answers may have enough of them.
process.stdout.on("error", (error) => process.exit(/** @type {any} */ (error).code === "EPIPE" ? 0 : 1));
try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const misspelled = String(/** @type {any} */ (error).code).startsWith("ERR_PARSE_ARGS");
  if (!(error instanceof Refused || misspelled)) throw error;
  process.stderr.write(`${error.message}\n`);
  // As edgesft has them: 1 what was given is no good, 2 it was asked wrongly, 4 not here.
  process.exitCode = error instanceof Refused ? ({ input: 2, provider: 4, kit: 4 }[error.findings[0].kind] ?? 1) : 2;
}
