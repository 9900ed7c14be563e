// @ts-check
/** Sound as it comes, such as a microphone's: answered as soon as a frame is full. */

import { array, numbers } from "./array.js";
import { Adder, Framer } from "./frames.js";

/**
 * @param {any} contract
 * @returns {number | null} New samples that an inference takes, of a model that streams and reads one array of samples.
 */
export function hopOf({ preparation, inputs, states }) {
  if (preparation.kind === "frames") return preparation.hop;
  const own = inputs.filter((each) => !(each.name in states));
  const streams = preparation.kind === "arrays" && Object.keys(states).length > 0;
  return streams && own.length === 1 && own[0].shape.length === 2 ? own[0].shape[1] : null;
}

/** One stream through a kit. */
export class Stream {
  /** @param {import("./kit.js").Kit} kit Whose model streams. */
  constructor(kit) {
    const { preparation, inputs, states } = kit.bundle.contract;
    this.kit = kit;
    this.hop = /** @type {number} */ (hopOf(kit.bundle.contract));
    this.input = inputs.find(
      (each) => each.name === preparation.input || (!preparation.input && !(each.name in states)),
    );
    this.rest = new Float64Array(0);
    this.begin();
  }

  /** Forgets what was heard. */
  begin() {
    const { preparation, decoding } = this.kit.bundle.contract;
    this.framer = preparation.kind === "frames" ? new Framer(preparation) : null;
    this.adder = decoding.kind === "frames" ? new Adder(decoding) : null;
    this.states = this.kit.model.states();
  }

  /**
   * @param {ArrayLike<number>} samples The next ones, at the contract's rate.
   * @returns {Promise<any[]>} For each frame that they fill, its answer, of a model that makes sound `samples`.
   */
  async push(samples) {
    const heard = new Float64Array(this.rest.length + samples.length);
    heard.set(this.rest);
    heard.set(samples, this.rest.length);
    const answers = [];
    let at = 0;
    for (; at + this.hop <= heard.length; at += this.hop) {
      const frame = heard.subarray(at, at + this.hop);
      // After what is no number the stream begins anew.
      if (frame.every(Number.isFinite)) answers.push(await this.frame(frame));
      else this.begin();
    }
    this.rest = heard.slice(at);
    return answers;
  }

  /** @param {Float64Array} samples `hop` of them. */
  async frame(samples) {
    const { decoding, labels } = this.kit.bundle.contract;
    const shape = this.input.shape.map((axis) => (Number.isInteger(axis) ? axis : 1));
    const feeds = { [this.input.name]: array("float32", shape, this.framer?.next(samples) ?? samples) };
    const { outputs, states } = await this.kit.model.run(feeds, this.states);
    this.states = states;
    if (this.adder) return { samples: this.adder.next(numbers(outputs[decoding.output])) };
    if (decoding.kind === "probability") return { label: labels.at(-1), score: numbers(outputs[decoding.output])[0] };
    return this.kit.decode([{ feeds, outputs }]);
  }
}
