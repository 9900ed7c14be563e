// @ts-check
/** The page's end of the worker. */

/** A bundle that is open in a worker of its own. */
export class Remote {
  constructor() {
    this.worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
    this.waiting = new Map();
    this.count = 0;
    this.worker.onmessage = ({ data: { id, part, value, findings } }) => {
      const { resolve, reject, each } = this.waiting.get(id);
      if (part !== undefined) return each?.(part);
      this.waiting.delete(id);
      return findings ? reject(Object.assign(new Error(findings[0].message), { findings })) : resolve(value);
    };
    this.worker.onerror = (event) => {
      const error = new Error(event.message || "the worker did not start");
      for (const { reject } of this.waiting.values()) reject(error);
      this.waiting.clear();
    };
  }

  /**
   * @param {string} op @param {object} asked
   * @param {(part: any) => void} [each] Takes parts of the answer as they come.
   * @returns {Promise<any>}
   */
  ask(op, asked = {}, each = undefined) {
    return new Promise((resolve, reject) => {
      const id = this.count++;
      this.waiting.set(id, { resolve, reject, each });
      this.worker.postMessage({ id, op, ...asked });
    });
  }

  close() {
    this.worker.terminate();
  }
}
