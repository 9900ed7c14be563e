// @ts-check
/** A model of a bundle in ONNX Runtime. */

import { array, fromTensor, toTensor } from "./array.js";
import { cropped, padded } from "./variant.js";

/** @typedef {import("./array.js").Feeds} Feeds */

/** Runs one inference at a time. */
export class Model {
  /**
   * @param {any} ort The module of ONNX Runtime.
   * @param {any} session
   * @param {import("./variant.js").Variant} variant
   * @param {any} contract
   */
  constructor(ort, session, variant, contract) {
    this.ort = ort;
    this.session = session;
    this.variant = variant;
    this.contract = contract;
  }

  /** @returns {Feeds} The first value of each state: zeros. */
  states() {
    const names = Object.keys(this.contract.states);
    const inputs = this.contract.inputs.filter((each) => names.includes(each.name));
    return Object.fromEntries(
      inputs.map(({ name, dtype, shape }) => [
        name,
        array(
          dtype,
          shape.map((axis) => (Number.isInteger(axis) ? axis : 1)),
        ),
      ]),
    );
  }

  /**
   * @param {Feeds} feeds Of one row, without those states that are given.
   * @param {Feeds} states Values of the states.
   * @returns {Promise<{ outputs: Feeds, states: Feeds }>} With the states' next values.
   */
  async run(feeds, states = this.states()) {
    const whole = { ...states, ...feeds };
    const found = await this.session.run(this.tensors(whole));
    const outputs = cropped(
      this.variant,
      Object.fromEntries(Object.entries(found).map(([name, tensor]) => [name, fromTensor(tensor)])),
      whole,
    );
    const next = Object.entries(this.contract.states).map(([input, output]) => [input, outputs[output]]);
    return { outputs, states: Object.fromEntries(next) };
  }

  /** @param {Feeds} feeds @returns {Record<string, any>} As ONNX Runtime takes them. */
  tensors(feeds) {
    return Object.fromEntries(
      Object.entries(padded(this.variant, feeds)).map(([name, each]) => [name, toTensor(this.ort, each)]),
    );
  }
}
