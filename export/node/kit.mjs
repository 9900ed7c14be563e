#!/usr/bin/env node
// @ts-check
/** The command line: opens a bundle, and answers, checks or measures. */

import { createInterface } from "node:readline";
import { parseArgs } from "node:util";

import { Kit } from "../js/kit.js";
import { measure } from "../js/measure.js";
import { role as roleOf } from "../js/prepare.js";
import { Refused } from "../js/refused.js";
import { openFiles } from "./files.js";
import { rowOf } from "./rows.js";
import { nodeRuntime } from "./runtime.js";

const USAGE = `node kit.mjs BUNDLE                     what it is, and whether its golden rows hold here
node kit.mjs BUNDLE --text "…"          its answer to a text; several --text, and --file FILE for what a file holds
node kit.mjs BUNDLE --file x.png        its answer to a picture, or to a sound (WAV)
node kit.mjs BUNDLE --rows              its answers to rows of JSON on the standard input, one a line
node kit.mjs BUNDLE --golden            whether its golden rows hold here; exit code 0 or 1
node kit.mjs BUNDLE --measure > device.jsonl     latency, for edgesft check --measurements

  --provider cpu|webgpu    --threads 1    --variant NAME (instead of the one that fits first)
  --samples 300  --seconds 5  --rounds 20  --warmup-seconds 5      how long it measures`;

const OPTIONS = /** @type {const} */ ({
  text: { type: "string", multiple: true },
  file: { type: "string", multiple: true },
  rows: { type: "boolean" },
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
  if (!(value > 0)) throw new TypeError(`--${name} must be a number above 0, got '${options[name]}'`);
  return value;
}

/** @param {Kit} kit */
function about({ bundle, model, provider, threads }) {
  const { manifest, contract } = bundle;
  say(`${manifest.name}, version ${manifest.version}: ${contract.task}, ${contract.labels.length} labels`);
  say(`variant ${model.variant.name} (${model.variant.precision}) on ${provider}, ${threads} thread${threads > 1 ? "s" : ""}`);
}

/** @param {Kit} kit @returns {Promise<number>} Exit code. */
async function golden(kit) {
  const found = await kit.golden();
  for (const { name, apart, limit } of found.outputs) say(`golden rows: ${name} is off by ${apart.toPrecision(2)} of its largest magnitude, at most ${limit}`);
  if (found.prepared) say(`golden rows: ${found.prepared} texts become the tokens that they must`);
  for (const { file, message } of found.findings) process.stderr.write(`${file}: ${message}\n`);
  say(`golden rows: ${found.findings.length ? "fail" : "hold"} (${found.rows})`);
  return found.findings.length ? 1 : 0;
}

/** @param {Kit} kit @param {any} options */
async function answers(kit, options) {
  const role = roleOf(kit.bundle.contract);
  for (const text of options.text ?? []) say({ text, ...(await kit.answer({ text })) });
  for (const file of options.file ?? []) {
    const row = await rowOf(file, role);
    for await (const answer of kit.answers(row)) say({ file, ...answer });
  }
  if (!options.rows) return;
  for await (const line of createInterface({ input: process.stdin })) if (line.trim()) say(await kit.answer(JSON.parse(line)));
}

/** @param {string[]} words @returns {Promise<number>} Exit code, as edgesft has them. */
async function main(words) {
  const { values: options, positionals } = parseArgs({ args: words, options: OPTIONS, allowPositionals: true });
  if (options.help || positionals.length !== 1) {
    (options.help ? say : console.error)(USAGE);
    return options.help ? 0 : 2;
  }
  const [threads, samples, seconds, rounds] = ["threads", "samples", "seconds", "rounds"].map((name) => number(options, name));
  const runtime = await nodeRuntime(options.provider);
  const kit = await Kit.open(await openFiles(positionals[0]), runtime, { threads, variant: options.variant });
  if (options.measure) {
    const settings = { samples, seconds, rounds, warmupSeconds: number(options, "warmup-seconds") };
    for await (const line of measure(kit, runtime, settings)) say(line);
    return 0;
  }
  if (options.text || options.file || options.rows) {
    await answers(kit, options);
    return 0;
  }
  if (!options.golden) about(kit);
  return golden(kit);
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof Refused || error instanceof TypeError || error instanceof SyntaxError)) throw error;
  process.stderr.write(`${error.message}\n`);
  // As edgesft has them: 1 what was given is no good, 2 it was asked wrongly, 4 not here.
  process.exitCode = error instanceof Refused ? ({ input: 2, provider: 4 }[error.findings[0].kind] ?? 1) : 2;
}
