// @ts-check
/** Which model of a bundle a device takes, and what fixed axes ask of its inputs (export/BUNDLE.md). */

import { refused } from "./refused.js";

/**
 * @typedef {object} Variant
 * @property {string} name @property {string} file @property {string[]} files @property {string} form
 * @property {string} precision @property {string} golden @property {string[]} providers @property {string} runtime
 * @property {string[]} architectures @property {number} memory_bytes @property {boolean} static
 * @property {{ sizes?: Record<string, number>, inputs?: Axes, outputs?: Axes }} fixed
 * @property {Record<string, string>} [graphs] Of a model of several graphs, those beside `model` → their files.
 * @property {{ chip: string, sdk: string, package: string, runtime: string }} [compiled] Of the form `context`.
 * @typedef {Record<string, Record<string, string>>} Axes
 */

/**
 * @typedef {object} Device What a selector must know.
 * @property {string[]} providers As ONNX Runtime spells them, the best first.
 * @property {string} runtime Version of its ONNX Runtime.
 * @property {string} architecture `x86_64`, `aarch64`, … or "" where that is not known.
 * @property {number | null} memoryBytes What the application may still take; null where that is not known.
 * @property {Record<string, { name: string, sdk: string }>} [chips] Provider → the chip that it runs on, and the version
 *   of the vendor's libraries in it, where it takes what was compiled before.
 */

const ANY = "*";

/** Providers that take models without free axes alone. */
const STATIC = [
  "QNNExecutionProvider",
  "NnapiExecutionProvider",
  "CoreMLExecutionProvider",
  "VitisAIExecutionProvider",
];

/** What full builds of ONNX Runtime read; `context` is ONNX around what a provider compiled before. */
const FORMS = ["onnx", "ort", "context"];

/** The graph that gives the answer. */
export const MAIN = "model";

/** @param {Variant} variant @returns {Record<string, string>} Every graph → its file; the main one is the last. */
export const parts = (variant) => ({ ...variant.graphs, [MAIN]: variant.file });

/**
 * @param {Variant} variant @param {Device} device @param {string} provider
 * @returns {boolean} Whether the device can run it on one of its providers.
 */
export function fits(variant, device, provider) {
  return (
    (variant.providers.includes(provider) || variant.providers.includes(ANY)) &&
    FORMS.includes(variant.form) &&
    atLeast(device.runtime, variant.runtime) &&
    (variant.architectures.length === 0 || variant.architectures.includes(device.architecture)) &&
    (device.memoryBytes === null || device.memoryBytes >= variant.memory_bytes) &&
    (variant.static || !STATIC.includes(provider)) &&
    (!variant.compiled || compiledFor(variant.compiled, device.chips?.[provider]))
  );
}

/** @param {{ chip: string, sdk: string }} said @param {{ name: string, sdk: string } | undefined} chip */
function compiledFor(said, chip) {
  return chip !== undefined && chip.name === said.chip && atLeast(chip.sdk, said.sdk);
}

/**
 * The device's providers are gone through in its order, and for each the variants in the bundle's; the first that fits
 * is taken. A variant for every provider (`*`) counts only where none is for a provider of the device.
 *
 * @param {Variant[]} variants @param {Device} device
 * @returns {{ variant: Variant, provider: string } | null} The model, and the provider that runs it.
 */
export function select(variants, device) {
  for (const wanted of [true, false]) {
    for (const provider of device.providers) {
      for (const variant of variants) {
        if (variant.providers.includes(provider) === wanted && fits(variant, device, provider)) {
          return { variant, provider };
        }
      }
    }
  }
  return null;
}

/** @param {string} version @param {string} least */
function atLeast(version, least) {
  const [mine, needed] = [version, least].map((text) =>
    (text.split("+")[0].match(/\d+/g) ?? []).slice(0, 3).map(Number),
  );
  for (let part = 0; part < needed.length; part++) {
    const own = mine[part] ?? -1;
    if (own !== needed[part]) return own > needed[part];
  }
  return true;
}

/**
 * Feeds with zeros behind what they are, as far as the variant's axes were free before.
 *
 * @param {Variant} variant
 * @param {import("./array.js").Feeds} feeds
 * @returns {import("./array.js").Feeds}
 */
export function padded(variant, feeds) {
  const { sizes = {}, inputs = {} } = variant.fixed;
  const one = ([name, array]) => {
    const shape = array.shape.map((size, axis) => {
      const called = inputs[name]?.[axis];
      if (called === undefined) return size;
      if (size > sizes[called]) {
        const message = `axis ${axis} of '${name}' must be at most ${sizes[called]}, which the model was fixed at, got ${size}`;
        throw refused("input", message);
      }
      return sizes[called];
    });
    return [name, reshaped(array, shape)];
  };
  return Object.fromEntries(Object.entries(feeds).map(one));
}

/**
 * What the model answered, without what stands for the padding.
 *
 * @param {Variant} variant
 * @param {import("./array.js").Feeds} outputs To the padded feeds.
 * @param {import("./array.js").Feeds} feeds Before they were padded.
 */
export function cropped(variant, outputs, feeds) {
  const { inputs = {}, outputs: axes = {} } = variant.fixed;
  /** @type {Record<string, number>} */
  const real = {};
  for (const [name, own] of Object.entries(inputs)) {
    if (feeds[name]) for (const [axis, called] of Object.entries(own)) real[called] = feeds[name].shape[Number(axis)];
  }
  const one = ([name, array]) => {
    const shape = array.shape.map((size, axis) => real[axes[name]?.[axis]] ?? size);
    return [name, reshaped(array, shape)];
  };
  return Object.fromEntries(Object.entries(outputs).map(one));
}

/**
 * The overlap of an array with a shape; zeros elsewhere.
 *
 * @param {import("./array.js").Array_} array @param {number[]} shape Of as many axes.
 */
function reshaped(array, shape) {
  if (shape.every((size, axis) => size === array.shape[axis])) return array;
  const data = /** @type {any} */ (new array.data.constructor(shape.reduce((all, size) => all * size, 1)));
  const row = Math.min(shape.at(-1) ?? 1, array.shape.at(-1) ?? 1);
  const copy = (axis, from, to) => {
    if (axis === shape.length - 1) {
      for (let place = 0; place < row; place++)
        data[to * shape[axis] + place] = array.data[from * array.shape[axis] + place];
      return;
    }
    for (let place = 0; place < Math.min(shape[axis], array.shape[axis]); place++) {
      copy(axis + 1, from * array.shape[axis] + place, to * shape[axis] + place);
    }
  };
  copy(0, 0, 0);
  return { dtype: array.dtype, shape, data };
}
