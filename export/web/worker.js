// @ts-check
/** Where the model runs, so that the page stays alive: answers what the page asks, one after another. */

import { Kit, take } from "../js/kit.js";
import { measure } from "../js/measure.js";
import { Refused } from "../js/refused.js";
import { Stream, hopOf } from "../js/stream.js";
import { openPlace, picture } from "./files.js";
import { webRuntime } from "./runtime.js";

/** @type {Kit} */
let kit;
/** @type {Awaited<ReturnType<typeof webRuntime>>} */
let runtime;
/** @type {Stream} Of a microphone. */
let heard;

const OPERATIONS = {
  async open({ place, provider, threads, variant }) {
    runtime = await webRuntime(provider, threads);
    kit = await Kit.open(await openPlace(place), runtime, { threads: runtime.ort.env.wasm.numThreads, variant });
    const { manifest, contract } = kit.bundle;
    const { files, ...taken } = kit.model.variant;
    return {
      name: manifest.name,
      version: manifest.version,
      task: contract.task,
      labels: contract.labels,
      preparation: contract.preparation,
      decoding: contract.decoding.kind,
      hop: hopOf(contract),
      variant: { ...taken, bytes: files.reduce((sum, name) => sum + manifest.files[name].length, 0) },
      variants: manifest.variants.map((each) => each.name),
      provider: kit.provider,
      threads: kit.threads,
      runtime: runtime.version,
      simulated: runtime.simulated(kit.provider),
      clockNs: runtime.clockNs,
    };
  },

  /** The answer to a row; a picture may be a file. */
  async answer({ row }) {
    const read = async ([column, value]) => [column, value instanceof Blob ? await picture(value) : value];
    return kit.answer(Object.fromEntries(await Promise.all(Object.entries(row).map(read))));
  },

  /** What a model says that answers token by token; `told` takes each piece of the text as it comes. */
  say: ({ row, options }, told) => kit.say(row, { ...options, told }),

  /** Begins a stream. */
  begin() {
    heard = new Stream(kit);
  },

  /** Answers to the next samples of the stream, a frame each. */
  push: ({ samples }) => heard.push(samples),

  golden: () => kit.golden(),

  /** Of a worker that has loaded nothing yet. */
  async *measure({ place, provider, threads, variant, settings }) {
    runtime = await webRuntime(provider, threads);
    const own = { threads: runtime.ort.env.wasm.numThreads, variant };
    yield* measure(await take(await openPlace(place), runtime, own), runtime, settings);
  },
};

/** @param {unknown} error */
function told(error) {
  if (error instanceof Refused) return error.findings;
  return [{ kind: "model", file: null, message: error instanceof Error ? error.message : String(error) }];
}

/** What was asked before is done before. */
let before = Promise.resolve();

onmessage = ({ data: { id, op, ...asked } }) => {
  before = before.then(async () => {
    try {
      const found = await OPERATIONS[op](asked, (part) => postMessage({ id, part }));
      if (!found?.[Symbol.asyncIterator]) return postMessage({ id, value: found });
      for await (const part of found) postMessage({ id, part });
      return postMessage({ id, value: null });
    } catch (error) {
      return postMessage({ id, findings: told(error) });
    }
  });
};
