// @ts-check
/** Arrays: a type as numpy spells it, a shape, and the elements in row-major order. */

import { refused } from "./refused.js";

/**
 * @typedef {object} Array_
 * @property {string} dtype As numpy spells it; `string` for text.
 * @property {number[]} shape
 * @property {any} data A typed array (float16 as Uint16Array, bool as Uint8Array), or a list of texts.
 * @typedef {Record<string, Array_>} Feeds
 */

/** Type → what holds it, and what ONNX Runtime's JavaScript calls it. */
const TYPES = {
  float32: Float32Array,
  float64: Float64Array,
  float16: Uint16Array,
  int8: Int8Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  uint8: Uint8Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
  uint64: BigUint64Array,
  bool: Uint8Array,
};

/**
 * @param {string} dtype @param {number[]} shape @param {ArrayLike<number> | ArrayLike<bigint> | undefined} values
 * @returns {Array_} Of these values, rounded to the type; of zeros without them.
 */
export function array(dtype, shape, values = undefined) {
  const Type = TYPES[dtype];
  if (!Type) throw refused("input", `type must be one of ${Object.keys(TYPES).join(", ")}, got '${dtype}'`);
  const size = shape.reduce((all, axis) => all * axis, 1);
  if (values && values.length !== size) {
    throw refused("input", `shape [${shape.join(", ")}] must hold ${size} numbers, got ${values.length}`);
  }
  if (!values) return { dtype, shape, data: new Type(size) };
  if (dtype === "float16") return { dtype, shape, data: Uint16Array.from(/** @type {any} */ (values), toHalf) };
  if (dtype.endsWith("int64"))
    return { dtype, shape, data: Type.from(/** @type {any} */ (values), (each) => BigInt(each)) };
  return { dtype, shape, data: values.constructor === Type ? values : Type.from(/** @type {any} */ (values)) };
}

/**
 * @param {{ dtype: string, shape: number[], data: string | string[] }} said As the measuring protocol has arrays.
 * @param {string} name Of it, for a message.
 * @returns {Array_}
 */
export function unpacked(said, name) {
  const { dtype, shape } = said;
  const size = shape.reduce((all, axis) => all * axis, 1);
  if (dtype === "string" || Array.isArray(said.data)) return { dtype: "string", shape, data: said.data };
  const Type = TYPES[dtype];
  const bytes = Type && Uint8Array.from(atob(said.data), (letter) => letter.charCodeAt(0));
  if (!Type || bytes.length !== size * Type.BYTES_PER_ELEMENT) {
    throw refused("golden", `'${name}' must be ${size} numbers of type ${dtype}, got other data`, "golden.json");
  }
  return { dtype, shape, data: new Type(bytes.buffer) };
}

/**
 * @param {Array_} array
 * @returns {Float64Array} Its elements as numbers; whole ones beyond 2^53 lose their last digits.
 */
export function numbers(array) {
  const read = array.dtype === "float16" && !isFloats(array.data) ? fromHalf : Number;
  return Float64Array.from(array.data, read);
}

/** Newer systems have arrays of halves, older ones their bits. @param {any} data */
const isFloats = (data) => data.constructor.name === "Float16Array";

/** @param {any} ort The module of ONNX Runtime. @param {Array_} array */
export function toTensor(ort, array) {
  return new ort.Tensor(array.dtype, array.data, array.shape);
}

/** @param {any} tensor Of ONNX Runtime, in the host's memory. @returns {Array_} */
export function fromTensor(tensor) {
  return { dtype: tensor.type, shape: [...tensor.dims], data: tensor.data };
}

const floats = new Float32Array(1);
const bits = new Uint32Array(floats.buffer);

/** A number as the bits of the nearest half, ties to even (IEEE 754). @param {number} value */
export function toHalf(value) {
  floats[0] = value;
  const sign = (bits[0] >>> 16) & 0x8000;
  const size = Math.abs(floats[0]);
  if (Number.isNaN(size)) return sign | 0x7e00;
  // Halves below 2^-14 all have the same step, and the bits of the others go on where theirs end.
  const exponent = Math.max(((bits[0] >>> 23) & 255) - 127, -14);
  const steps = even(size * 2 ** (10 - exponent));
  return sign | Math.min(0x7c00, ((exponent + 14) << 10) + steps);
}

/** @param {number} half Bits of it. */
export function fromHalf(half) {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 31;
  const part = half & 1023;
  if (exponent === 31) return part ? NaN : sign * Infinity;
  return sign * (exponent === 0 ? part * 2 ** -24 : (1024 + part) * 2 ** (exponent - 25));
}

/**
 * @param {number} value
 * @returns {number} The nearest whole number, the even one of two: as Python and numpy round.
 */
export function even(value) {
  const below = Math.floor(value);
  const rest = value - below;
  if (rest !== 0.5) return rest < 0.5 ? below : below + 1;
  return below % 2 === 0 ? below : below + 1;
}
