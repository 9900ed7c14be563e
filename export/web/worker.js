// @ts-check
/** Where the model runs, so that the page stays alive: answers what the page asks, one after another. */

import { Kit } from "../js/kit.js";
import { measure } from "../js/measure.js";
import { role } from "../js/prepare.js";
import { Refused } from "../js/refused.js";
import { openPlace, pictureRow } from "./files.js";
import { webRuntime } from "./runtime.js";

/** @type {Kit} */
let kit;
/** @type {Awaited<ReturnType<typeof webRuntime>>} */
let runtime;
/** @type {ReturnType<Kit["stream"]>} */
let answer;

const OPERATIONS = {
  async open({ place, provider, threads, variant }) {
    runtime = await webRuntime(provider, threads);
    kit = await Kit.open(await openPlace(place), runtime, { threads: runtime.ort.env.wasm.numThreads, variant });
    answer = kit.stream();
    const { manifest, contract } = kit.bundle;
    const { files, ...taken } = kit.model.variant;
    return {
      name: manifest.name,
      version: manifest.version,
      task: contract.task,
      labels: contract.labels,
      role: role(contract),
      preparation: contract.preparation,
      streaming: Object.keys(contract.states).length > 0,
      variant: { ...taken, bytes: files.reduce((sum, name) => sum + manifest.files[name].length, 0) },
      variants: manifest.variants.map((each) => each.name),
      provider: kit.provider,
      threads: kit.threads,
      runtime: runtime.version,
      simulated: runtime.simulated(kit.provider),
      clockNs: runtime.clockNs,
    };
  },

  /** Each answer to a row as it comes. */
  async *answers({ row }) {
    for await (const each of kit.answers(row.file ? await pictureRow(row.file) : row)) yield each;
  },

  /** Of rows that follow each other, such as those of a microphone. */
  push: ({ row }) => answer(row),

  restart() {
    answer = kit.stream();
  },

  golden: () => kit.golden(),

  measure: ({ settings }) => measure(kit, runtime, settings),
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
      const found = await OPERATIONS[op](asked);
      if (!found?.[Symbol.asyncIterator]) return postMessage({ id, value: found });
      for await (const part of found) postMessage({ id, part });
      return postMessage({ id, value: null });
    } catch (error) {
      return postMessage({ id, findings: told(error) });
    }
  });
};
