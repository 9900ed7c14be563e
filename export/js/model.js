// @ts-check
/** A model of a bundle in ONNX Runtime. */

import { array, fromTensor, toTensor } from "./array.js";
import { refused } from "./refused.js";
import { MAIN, cropped, padded } from "./variant.js";

/** @typedef {import("./array.js").Feeds} Feeds */

/** Runs one inference at a time. */
export class Model {
  /**
   * @param {any} ort The module of ONNX Runtime.
   * @param {Record<string, any>} sessions Graph → its session.
   * @param {import("./variant.js").Variant} variant
   * @param {any} contract
   */
  constructor(ort, sessions, variant, contract) {
    this.ort = ort;
    this.sessions = sessions;
    this.session = sessions[MAIN];
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
    const found = await this.inferred(this.tensors(whole));
    const outputs = cropped(
      this.variant,
      Object.fromEntries(Object.entries(found).map(([name, tensor]) => [name, fromTensor(tensor)])),
      whole,
    );
    const next = Object.entries(this.contract.states).map(([input, output]) => [input, outputs[output]]);
    return { outputs, states: Object.fromEntries(next) };
  }

  /**
   * One inference of each graph, those that give before those that take.
   *
   * @param {Record<string, any>} tensors @returns {Promise<Record<string, any>>} What the main one gives.
   */
  async inferred(tensors) {
    const names = Object.keys(this.sessions);
    if (names.length === 1) return this.session.run(tensors);
    const { links = {}, graphs = {}, inputs } = this.contract;
    const made = {};
    while (Object.keys(made).length < names.length) {
      const ready = names.find((name) => !made[name] && Object.keys(links[name] ?? {}).every((giver) => made[giver]));
      if (!ready) throw refused("contract", "links must lead from graph to graph and never back", "contract.json");
      const feeds = {};
      for (const { name } of graphs[ready]?.inputs ?? inputs) if (tensors[name]) feeds[name] = tensors[name];
      for (const [giver, pairs] of Object.entries(links[ready] ?? {}))
        for (const [input, output] of Object.entries(pairs)) feeds[input] = made[giver][output];
      made[ready] = await this.sessions[ready].run(feeds);
    }
    return made[MAIN];
  }

  /** @param {Feeds} feeds @returns {Record<string, any>} As ONNX Runtime takes them. */
  tensors(feeds) {
    return Object.fromEntries(
      Object.entries(padded(this.variant, feeds)).map(([name, each]) => [name, toTensor(this.ort, each)]),
    );
  }
}
