// @ts-check
/** Answers token by token, each inference's cache handed to the next one (export/BUNDLE.md). */

import { array, fromTensor, numbers, toTensor } from "./array.js";
import { Chance } from "./chance.js";
import { refused } from "./refused.js";
import { MAIN } from "./variant.js";

/** Tokens of an answer where nobody says how many it may have. */
const MOST = 128;

/**
 * @typedef {object} Sampling How each token is chosen.
 * @property {number} [temperature] Scores are divided by it; 0 takes the likeliest token.
 * @property {number} [topK] Only so many of the likeliest tokens are drawn from; 0 is all.
 * @property {number} [topP] Only the likeliest that have this share of the probability together.
 * @property {number} [seed] The same one draws the same tokens, here and in the other kits.
 *
 * @typedef {object} Said An answer.
 * @property {string} text @property {number[]} tokens Without the one that ended it.
 * @property {"stop" | "length" | "cache"} end Complete; as long as asked; or the model can remember no more.
 * @property {number} prompt Tokens of what was asked.
 * @property {number} first_ns From the prompt to the first token. @property {number[]} step_ns Of each after that.
 */

/** A model that answers token by token. */
export class Writer {
  /**
   * @param {any} ort The module of ONNX Runtime.
   * @param {Record<string, any>} sessions Graph → its session.
   * @param {any} contract
   * @param {(ids: number[]) => string} words Makes text of tokens.
   * @param {() => number} clock Nanoseconds.
   */
  constructor(ort, sessions, contract, words, clock) {
    this.ort = ort;
    this.sessions = sessions;
    this.words = words;
    this.clock = clock;
    this.said = contract.decoding;
    this.links = contract.links?.[MAIN] ?? {};
    const beside = Object.keys(sessions).filter((each) => each !== MAIN);
    const wanted = this.said.reader ? [this.said.reader.graph] : [];
    if (beside.join() !== wanted.join() || Object.keys(this.links).join() !== wanted.join()) {
      const message = `graphs must be ${[MAIN, ...wanted].join(", ")} for this kit, got ${Object.keys(sessions).join(", ")}`;
      throw refused("contract", message, "contract.json");
    }
    const own = contract.inputs.filter((each) => each.name in this.said.cache);
    this.blank = own.map(({ name, dtype, shape }) => [
      name,
      array(
        dtype,
        shape.map((axis, place) => (Number.isInteger(axis) ? axis : Number(place === 0))),
      ),
    ]);
  }

  /**
   * Says what follows a prompt.
   *
   * @param {number[]} prompt Tokens, at least one.
   * @param {Sampling & { most?: number, told?: (piece: string) => void }} options `most` tokens at most, for a model may
   *   never stop; `told` is called with each new piece of the text.
   * @returns {Promise<Said>}
   */
  async say(prompt, { most = MOST, told = () => {}, ...sampling } = {}) {
    const { positions, stop } = this.said;
    this.check(prompt, most);
    const choose = chooser(sampling);
    const course = new Course(this, prompt);
    const [tokens, times] = [/** @type {number[]} */ ([]), /** @type {number[]} */ ([])];
    let [text, shown] = ["", ""];
    /** @type {Said["end"]} */
    let end = "length";
    while (tokens.length < most) {
      if (positions !== null && prompt.length + tokens.length > positions) {
        end = "cache";
        break;
      }
      const began = this.clock();
      const token = choose(await course.scores(tokens.at(-1)));
      times.push(this.clock() - began);
      if (stop.includes(token)) {
        end = "stop";
        break;
      }
      tokens.push(token);
      text = this.words(tokens);
      // What is half a character yet comes with the next token.
      if (!text.startsWith(shown) || text.endsWith("\ufffd")) continue;
      told(text.slice(shown.length));
      shown = text;
    }
    if (text.startsWith(shown) && text !== shown) told(text.slice(shown.length));
    const [first, ...steps] = times;
    return { text, tokens, end, prompt: prompt.length, first_ns: first, step_ns: steps };
  }

  /**
   * @param {number[]} prompt @param {number} most
   * @returns {Promise<number[]>} Nanoseconds of so many tokens, or of as many as the model can remember; none ends it.
   */
  async pace(prompt, most) {
    const { positions } = this.said;
    const room = positions === null ? most : Math.min(most, positions - prompt.length + 1);
    const course = new Course(this, prompt);
    const times = [];
    for (let token = undefined; times.length < room;) {
      const began = this.clock();
      token = likeliest(await course.scores(token));
      times.push(this.clock() - began);
    }
    return times;
  }

  /** @param {number[]} prompt @param {number} most */
  check(prompt, most) {
    const { positions } = this.said;
    if (prompt.length === 0) throw refused("input", "a prompt must hold at least one token, got none");
    if (!(most >= 1)) throw refused("input", `max-tokens must be at least 1, got ${most}`);
    if (positions !== null && prompt.length > positions) {
      const message = `a prompt must be at most ${positions} tokens, all that this model can remember`;
      throw refused("input", `${message}, got ${prompt.length}`);
    }
  }
}

/** An answer under way: what was read, and the cache, which stays in the runtime's tensors. */
export class Course {
  /** @param {Writer} writer @param {number[]} prompt */
  constructor(writer, prompt) {
    this.writer = writer;
    this.prompt = prompt;
    this.past = Object.fromEntries(writer.blank.map(([name, each]) => [name, toTensor(writer.ort, each)]));
    /** @type {Record<string, any> | null} */
    this.read = null;
  }

  /**
   * @param {number} [token] That was chosen of the scores before; none at the start.
   * @returns {Promise<Float64Array>} Of what follows.
   */
  async scores(token = undefined) {
    const { said } = this.writer;
    const fed = this.read === null ? await this.begun() : [/** @type {number} */ (token)];
    const kept = said.keep === undefined ? {} : { [said.keep]: this.tensor([fed.length - 1], [1]) };
    const feeds = { [said.tokens]: this.tensor(fed), ...kept, ...this.past, ...this.read };
    const found = await this.run(MAIN, feeds);
    const pairs = /** @type {[string, string][]} */ (Object.entries(said.cache));
    this.past = Object.fromEntries(pairs.map(([input, output]) => [input, found[output]]));
    const scores = fromTensor(found[said.output]);
    const width = scores.shape[2];
    return numbers({ ...scores, data: scores.data.subarray(scores.data.length - width) });
  }

  /** What is fed first: the prompt, or, where a graph of its own reads that, what every answer begins by. */
  async begun() {
    const { said, links } = this.writer;
    this.read = {};
    if (!said.reader) return this.prompt;
    const given = await this.run(said.reader.graph, { [said.reader.tokens]: this.tensor(this.prompt) });
    const pairs = /** @type {[string, string][]} */ (Object.entries(links[said.reader.graph]));
    this.read = Object.fromEntries(pairs.map(([input, output]) => [input, given[output]]));
    return [said.begin];
  }

  /** @param {number[]} values @param {number[]} shape */
  tensor(values, shape = [1, values.length]) {
    return toTensor(this.writer.ort, array("int64", shape, values));
  }

  /** @param {string} graph @param {Record<string, any>} feeds @returns {Promise<any>} */
  async run(graph, feeds) {
    try {
      return await this.writer.sessions[graph].run(feeds);
    } catch (error) {
      const said = error instanceof Error ? error.message : String(error);
      throw refused("input", `the model must take what it is fed, got: ${said}`);
    }
  }
}

/** @param {Float64Array} scores @returns {number} The first of the greatest. */
export function likeliest(scores) {
  let best = 0;
  for (let place = 1; place < scores.length; place++) if (scores[place] > scores[best]) best = place;
  return best;
}

/** @param {Sampling} sampling @returns {(scores: Float64Array) => number} */
function chooser({ temperature = 0, topK = 0, topP = 1, seed = 0 }) {
  if (!(temperature >= 0 && topK >= 0 && seed >= 0 && topP > 0 && topP <= 1)) {
    const got = `temperature ${temperature}, top-k ${topK}, top-p ${topP}, seed ${seed}`;
    throw refused("input", `temperature, top-k and seed must be at least 0, top-p above 0 and at most 1, got ${got}`);
  }
  if (temperature === 0) return likeliest;
  const chance = new Chance(seed);
  return (scores) => {
    const order = Array.from(scores.keys()).sort((one, other) => scores[other] - scores[one] || one - other);
    const drawn = topK ? order.slice(0, topK) : order;
    const weights = drawn.map((place) => Math.exp((scores[place] - scores[drawn[0]]) / temperature));
    const all = weights.reduce((sum, each) => sum + each, 0);
    let [reached, kept] = [0, 0];
    // As many as reach the share, the one that crosses it included.
    while (kept < drawn.length && reached < topP) reached += weights[kept++] / all;
    const picked = weights.slice(0, kept);
    const share = picked.reduce((sum, each) => sum + each, 0);
    const mark = chance.next() * share;
    let sum = 0;
    const place = picked.findIndex((each) => (sum += each) > mark);
    return drawn[place < 0 ? kept - 1 : place];
  };
}
