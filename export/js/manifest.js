// @ts-check
/** The manifest: every file of a bundle with its length and digest, and which model is for which device. */

import { clash, wrongName } from "./names.js";
import { refused, shown } from "./refused.js";

export const MANIFEST = "manifest.json";
export const SIGNATURE = "signature.json";

const SCHEMA = "edgesft/bundle";
const SCHEMA_VERSION = 1;
const KEYS = ["files", "name", "schema", "schema_version", "variants", "version"];
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;

const isText = (value) => typeof value === "string";
const isWhole = (value) => Number.isSafeInteger(value) && value >= 0;
const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
const isTexts = (value) => Array.isArray(value) && value.every(isText);

/**
 * Key of a variant → what it must be, and whether a value is that.
 *
 * @type {Record<string, [string, (value: any) => boolean]>}
 */
const VARIANT = {
  name: ["a name", (value) => isText(value) && NAME.test(value)],
  file: ["a text", isText],
  files: ["a list of texts", isTexts],
  form: ["onnx, ort or context", (value) => ["onnx", "ort", "context"].includes(value)],
  precision: ["a text", isText],
  golden: ["a text", isText],
  providers: ["a list of texts", isTexts],
  runtime: ["a version", (value) => isText(value) && /^\d+(\.\d+){1,3}$/.test(value)],
  architectures: ["a list of texts", isTexts],
  memory_bytes: ["a whole number", isWhole],
  static: ["true or false", (value) => typeof value === "boolean"],
  fixed: ["an object of sizes, inputs and outputs, or {}", isFixed],
};

/** What a variant of the form `context` has besides. */
const COMPILED = ["chip", "package", "runtime", "sdk"];

/** @param {any} value */
const isCompiled = (value) =>
  isObject(value) && Object.keys(value).sort().join() === COMPILED.join() && Object.values(value).every(isText);

/** Whether the graphs of a variant are files of it, each another one. @param {any} variant */
function areGraphs({ graphs, file, files }) {
  if (!isObject(graphs) || Object.hasOwn(graphs, "model")) return false;
  const own = [file, ...Object.values(graphs)];
  return own.every((each) => files.includes(each)) && new Set(own).size === own.length;
}

/** @param {any} value */
function isFixed(value) {
  if (!isObject(value) || Object.keys(value).length === 0) return isObject(value);
  const places = [value.inputs, value.outputs];
  if (!isObject(value.sizes) || !Object.values(value.sizes).every((size) => isWhole(size) && size > 0)) return false;
  if (!places.every((each) => isObject(each) && Object.values(each).every(isObject))) return false;
  const called = places.flatMap((each) => Object.values(each).flatMap((axes) => Object.values(axes)));
  return called.every((name) => isText(name) && Object.hasOwn(value.sizes, name));
}

/**
 * @typedef {object} Manifest
 * @property {string} name @property {number} version
 * @property {Record<string, { length: number, sha256: string }>} files
 * @property {import("./variant.js").Variant[]} variants
 */

/**
 * Reads `manifest.json`; nothing in it is trusted.
 *
 * @param {Uint8Array} data What it holds.
 * @returns {Manifest}
 */
export function readManifest(data) {
  const said = canonical(data);
  if (!isObject(said) || said.schema !== SCHEMA) throw wrong(`schema must be '${SCHEMA}', got ${shown(said?.schema)}`);
  if (said.schema_version !== SCHEMA_VERSION) {
    throw wrong(`schema_version must be ${SCHEMA_VERSION} for this kit, got ${shown(said.schema_version)}`);
  }
  const keys = Object.keys(said).sort();
  if (keys.join() !== KEYS.join()) throw wrong(`keys must be ${KEYS.join(", ")}, got ${keys.join(", ")}`);
  if (!isText(said.name) || !NAME.test(said.name)) throw wrong(`name must be a plain name, got ${shown(said.name)}`);
  if (!isWhole(said.version) || said.version < 1) {
    throw wrong(`version must be a whole number from 1 on, got ${shown(said.version)}`);
  }
  checkFiles(said.files);
  checkVariants(said.variants, said.files);
  return said;
}

/** @param {any} files */
function checkFiles(files) {
  if (!isObject(files)) throw wrong(`files must be an object, got ${shown(files)}`);
  for (const [name, each] of Object.entries(files)) {
    const problem = wrongName(name);
    if (problem) throw refused("name", `a name ${problem}`, MANIFEST);
    if (name === MANIFEST || name === SIGNATURE) throw wrong(`files must not list '${name}', got it`);
    if (!isObject(each) || Object.keys(each).sort().join() !== "length,sha256" || !isWhole(each.length)) {
      throw wrong(`files.${name} must have length and sha256, got ${shown(each)}`);
    }
    if (!isText(each.sha256) || !/^[0-9a-f]{64}$/.test(each.sha256)) {
      throw wrong(`files.${name}.sha256 must be 64 hexadecimal digits, got ${shown(each.sha256)}`);
    }
  }
  const pair = clash(Object.keys(files).sort());
  if (pair) throw refused("name", `files must be one on every system, got '${pair[0]}' and '${pair[1]}'`, MANIFEST);
}

/** @param {any} variants @param {Record<string, unknown>} files */
function checkVariants(variants, files) {
  if (!Array.isArray(variants) || variants.length === 0) {
    throw wrong(`variants must be a list of at least one model, got ${shown(variants)}`);
  }
  for (const each of variants) {
    const further = [
      ...(each?.form === "context" ? ["compiled"] : []),
      ...(each?.graphs === undefined ? [] : ["graphs"]),
    ];
    const keys = [...Object.keys(VARIANT), ...further];
    if (!isObject(each) || Object.keys(each).sort().join() !== keys.sort().join()) {
      throw wrong(`variants must have ${Object.keys(VARIANT).join(", ")} and no other keys, got ${shown(each)}`);
    }
    for (const [key, [what, is]] of Object.entries(VARIANT)) {
      if (!is(each[key])) throw wrong(`variants.${key} must be ${what}, got ${shown(each[key])}`);
    }
    if (each.form === "context" && (!isCompiled(each.compiled) || each.providers.join() === "*"))
      throw wrong(`variants.compiled must say for which chip and provider, got ${shown(each.compiled)}`);
    if (each.files[0] !== each.file)
      throw wrong(`variants.files must begin with '${each.file}', got ${shown(each.files)}`);
    if (each.graphs !== undefined && !areGraphs(each))
      throw wrong(`variants.graphs must name a file of the variant for each graph, got ${shown(each.graphs)}`);
    const lacking = each.files.find((name) => !Object.hasOwn(files, name));
    if (lacking) throw wrong(`variant '${each.name}' must be made of files of the manifest, got '${lacking}'`);
    if (Object.keys(each.fixed).length > 0 && !each.static)
      throw wrong(`variant '${each.name}' must be static, got fixed axes`);
  }
  if (new Set(variants.map((each) => each.name)).size !== variants.length)
    throw wrong("variants must have names of their own");
}

/**
 * The value of canonical JSON without floats (RFC 8785): a key twice, spaces and other spellings do not come back as
 * they were.
 *
 * @param {Uint8Array} data @returns {any}
 */
function canonical(data) {
  let text, value;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(data);
    value = JSON.parse(text);
  } catch (error) {
    throw wrong(`must be canonical JSON, got what cannot be read: ${error instanceof Error ? error.message : error}`);
  }
  if (spelled(value) !== text) throw wrong("must be canonical JSON, got the same value spelled otherwise");
  return value;
}

/** @param {any} value @returns {string} */
function spelled(value) {
  if (Array.isArray(value)) return `[${value.map(spelled).join()}]`;
  if (!isObject(value)) return JSON.stringify(value);
  // `__proto__` as a key is not among the keys that come back, and so is refused.
  return `{${Object.keys(value)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${spelled(value[key])}`)
    .join()}}`;
}

/** @param {string} message */
const wrong = (message) => refused("manifest", message, MANIFEST);
