// @ts-check
/** ONNX Runtime in Node.js. */

import { join } from "node:path";

import ort from "onnxruntime-node";

import { refused } from "../js/refused.js";
import { MAIN, parts } from "../js/variant.js";
import { unpacked } from "./files.js";
import * as here from "./machine.js";

/** What Node's ONNX Runtime calls a provider → what ONNX Runtime calls it. */
const PROVIDERS = {
  cpu: "CPUExecutionProvider",
  webgpu: "WebGpuExecutionProvider",
  cuda: "CUDAExecutionProvider",
  tensorrt: "TensorrtExecutionProvider",
  dml: "DmlExecutionProvider",
  coreml: "CoreMLExecutionProvider",
  qnn: "QNNExecutionProvider",
};

const clock = () => Number(process.hrtime.bigint());

/**
 * @param {string} provider `cpu`, `webgpu`, … or ONNX Runtime's own spelling.
 * @returns {Promise<import("../js/kit.js").Runtime & import("../js/measure.js").Platform>}
 */
export async function nodeRuntime(provider = "cpu") {
  const held = ort.listSupportedBackends().map((each) => each.name);
  const name = held.find((each) => each === provider || PROVIDERS[each] === provider);
  if (!name) throw refused("input", `provider must be one of ${held.join(", ")} here, got '${provider}'`);
  const version = ort.env.versions.node ?? ort.env.versions.common;
  return {
    ort,
    version,
    providers: held.map((each) => PROVIDERS[each] ?? each),
    tokenizers: await import("@huggingface/tokenizers").catch(() => null),
    device: async () => ({
      providers: [PROVIDERS[name]],
      runtime: version,
      architecture: here.architecture,
      memoryBytes: here.state().memory_free_bytes,
    }),
    session: ({ bundle, variant, threads }, graph = MAIN) =>
      unpacked(bundle.source, variant.files, (folder) => {
        const file = parts(variant)[graph];
        return session(join(folder, file), file, name, threads);
      }),
    clock,
    clockNs: 1,
    machine: async () => here.machine(version),
    state: async () => here.state(),
    peakBytes: here.peakBytes,
    runtimeBytes: here.runtimeBytes,
    simulated: here.simulated,
  };
}

/**
 * @param {string} path
 * @param {string} file What it is called in the bundle.
 * @param {string} name
 * @param {number} threads
 */
async function session(path, file, name, threads) {
  const options = {
    executionProviders: [name],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    logSeverityLevel: /** @type {3} */ (3),
  };
  try {
    const began = clock();
    const made = await ort.InferenceSession.create(path, options);
    return { session: made, ns: clock() - began };
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error);
    throw refused(name === "cpu" ? "model" : "provider", `must load in ONNX Runtime on ${name}, got: ${said}`, file);
  }
}
