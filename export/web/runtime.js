// @ts-check
/** ONNX Runtime in a browser: WebAssembly on the processor, or WebGPU. Runs in a worker. */

import { refused } from "../js/refused.js";
import { MAIN, parts } from "../js/variant.js";

/** Where serve.mjs puts the packages. */
const ORT = new URL("../ort/", import.meta.url).href;
const TOKENIZERS = new URL("../tokenizers/tokenizers.min.mjs", import.meta.url).href;

/** What ONNX Runtime in a browser calls a provider → its file, and what ONNX Runtime calls it. */
const PROVIDERS = {
  wasm: { module: "ort.wasm.min.mjs", binary: "ort-wasm-simd-threaded", name: "CPUExecutionProvider" },
  webgpu: { module: "ort.webgpu.min.mjs", binary: "ort-wasm-simd-threaded.asyncify", name: "WebGpuExecutionProvider" },
};

/** What adapters that are no GPU are called. */
const SOFTWARE = /swiftshader|llvmpipe|lavapipe|basic render/i;

const ARCHITECTURES = { "x86/64": "x86_64", "x86/32": "i686", "arm/64": "aarch64", "arm/32": "armv7l" };

const clock = () => Math.round(performance.now() * 1e6);

/**
 * @param {"wasm" | "webgpu"} provider
 * @param {number} threads Of WebAssembly; more than one where the page is isolated from others alone.
 * @returns {Promise<import("../js/kit.js").Runtime & import("../js/measure.js").Platform>}
 */
export async function webRuntime(provider, threads) {
  const { module, binary, name } = PROVIDERS[provider];
  const adapter = provider === "webgpu" ? await navigator.gpu?.requestAdapter() : null;
  if (provider === "webgpu" && !adapter)
    throw refused("provider", "WebGPU must find an adapter, got none in this browser on this machine");
  const ort = await import(`${ORT}${module}`);
  ort.env.wasm.wasmPaths = { mjs: await here(`${ORT}${binary}.mjs`), wasm: `${ORT}${binary}.wasm` };
  ort.env.wasm.numThreads = crossOriginIsolated ? threads : 1;
  ort.env.logLevel = "error";
  const facts = await machine(`onnxruntime-web ${ort.env.versions.web}`);
  await start(ort, provider);
  return {
    ort,
    version: ort.env.versions.web,
    providers: [...(navigator.gpu ? [PROVIDERS.webgpu.name] : []), PROVIDERS.wasm.name],
    tokenizers: await import(TOKENIZERS).catch(() => null),
    device: async () => ({
      providers: [name],
      runtime: ort.env.versions.web,
      architecture: "wasm32",
      memoryBytes: null,
    }),
    session: ({ bundle, variant }, graph = MAIN) => session(ort, bundle, variant, parts(variant)[graph], provider),
    clock,
    clockNs: clockStep(),
    machine: async () => facts,
    // A browser tells nothing of these.
    state: async () => ({
      load: null,
      temperature_mc: null,
      frequency_khz: null,
      throttles: null,
      memory_free_bytes: null,
    }),
    peakBytes: () => null,
    runtimeBytes,
    simulated: () => software(adapter),
  };
}

/**
 * A script under an address of this page: its threads load it once more, from workers within workers, which a service
 * worker does not see.
 *
 * @param {string} address
 */
async function here(address) {
  const script = await (await fetch(address)).blob();
  return URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
}

/**
 * Starts WebAssembly, and the GPU: nothing of that is to be timed with a model.
 *
 * @param {any} ort
 * @param {string} provider
 */
async function start(ort, provider) {
  const nothing = new Uint8Array(0);
  // There is no call for it; a model of no bytes is refused once everything runs.
  await ort.InferenceSession.create(nothing, { executionProviders: [provider], logSeverityLevel: 4 }).catch(() => {});
}

/**
 * @param {any} ort
 * @param {import("../js/bundle.js").Bundle} bundle
 * @param {import("../js/variant.js").Variant} variant
 * @param {string} file Of a graph.
 * @param {string} provider
 */
async function session(ort, { source }, variant, file, provider) {
  const graphs = Object.values(parts(variant));
  const beside = variant.files.filter((each) => !graphs.includes(each));
  const [model, ...others] = await Promise.all([file, ...beside].map((each) => source.read(each)));
  const folder = file.slice(0, file.lastIndexOf("/") + 1);
  const externalData = others.map((data, place) => ({ path: beside[place].slice(folder.length), data }));
  try {
    const began = clock();
    const options = { executionProviders: [provider], logSeverityLevel: 3, externalData };
    const made = await ort.InferenceSession.create(model, options);
    return { session: made, ns: clock() - began };
  } catch (error) {
    const message = `must load in ONNX Runtime on ${provider}, got: ${error instanceof Error ? error.message : error}`;
    throw refused("model", message, file);
  }
}

/** @returns {number} Nanoseconds between two readings of the clock that differ: browsers make it coarse on purpose. */
function clockStep() {
  let [least, before] = [Infinity, performance.now()];
  for (let seen = 0; seen < 50;) {
    const now = performance.now();
    if (now === before) continue;
    [least, before, seen] = [Math.min(least, now - before), now, seen + 1];
  }
  return Math.max(1, Math.round(least * 1e6));
}

/** @param {any} adapter @returns {string | null} What stands in for a GPU. */
function software(adapter) {
  const info = adapter?.info ?? {};
  const said = [info.vendor, info.architecture, info.device, info.description].filter(Boolean).join(" ");
  return info.isFallbackAdapter || SOFTWARE.test(said)
    ? `software in place of a GPU (${said || "a fallback adapter"})`
    : null;
}

/** @returns {number | null} Of what was fetched from the runtime's folder. */
function runtimeBytes() {
  const all = performance.getEntriesByType("resource").filter((each) => each.name.startsWith(ORT));
  return all.reduce((sum, each) => sum + /** @type {any} */ (each).decodedBodySize, 0) || null;
}

/** What a browser tells of the machine. @param {string} onnxruntime */
async function machine(onnxruntime) {
  const agent = /** @type {any} */ (navigator).userAgentData;
  const wanted = ["architecture", "bitness", "model", "platformVersion", "fullVersionList"];
  const said = (await agent?.getHighEntropyValues(wanted).catch(() => null)) ?? {};
  const brand = said.fullVersionList?.find((each) => !/not.?a.?brand/i.test(each.brand));
  return {
    architecture: ARCHITECTURES[`${said.architecture}/${said.bitness}`] ?? null,
    system: said.platform || null,
    model: said.model || null,
    board: null,
    cores: navigator.hardwareConcurrency,
    instructions: [],
    governor: null,
    memory_bytes: null,
    cache_bytes: null,
    kernel: said.platformVersion || null,
    python: null,
    onnxruntime,
    browser: brand ? `${brand.brand} ${brand.version}` : navigator.userAgent,
    isolated: crossOriginIsolated,
  };
}
