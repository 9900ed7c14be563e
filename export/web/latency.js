// @ts-check
/** Measures, shows the figures, and hands the lines on. */

import { Remote } from "./remote.js";
import { element, showFindings } from "./show.js";

/** Samples that carry a bound of a percentile, one-sided 95 % (edgesft's budget/percentile.py). */
const CARRIED = { 50: 5, 90: 29, 95: 59, 99: 299 };

/** The part of the page that measures. */
export class Latency {
  /** @param {string | null} address Where lines may be sent. */
  constructor(address) {
    this.address = address;
    this.asked = {};
    this.lines = [];
    this.link = "";
    element("measure").addEventListener("click", () => this.measure());
    element("send").addEventListener("click", () => this.send());
  }

  /** Of another model. @param {any} about @param {object} asked What opens it. */
  reset({ simulated, clockNs }, asked) {
    this.asked = asked;
    for (const id of ["save", "send", "progress"]) element(id).hidden = true;
    element("latency").querySelector("table").hidden = true;
    element("simulated").hidden = !simulated;
    element("simulated").textContent = simulated ? `${simulated}: its answers are a GPU's, its times say nothing.` : "";
    element("clock").textContent =
      `This browser's clock steps by ${clockNs / 1000} µs${crossOriginIsolated ? "" : ", for the page is not isolated"}.`;
  }

  async measure() {
    const [button, progress] = [element("measure"), element("progress")];
    const settings = { seconds: Number(element("seconds").value) || 5, rounds: 20 };
    [button.disabled, progress.hidden, progress.value] = [true, false, 0];
    this.lines = [];
    // As a process of its own would: nothing is loaded in it yet.
    const remote = new Remote();
    try {
      await remote.ask("measure", { ...this.asked, settings }, (line) => {
        this.lines.push(line);
        progress.value = this.lines.filter((each) => each.op === "time").length / settings.rounds;
      });
      this.show();
    } catch (error) {
      showFindings(error.findings ?? [{ file: null, message: error.message }]);
    } finally {
      remote.close();
      [button.disabled, progress.hidden] = [false, true];
    }
  }

  show() {
    const of = (op) => this.lines.find((line) => line.op === op);
    const samples = this.lines
      .filter((line) => line.op === "time")
      .flatMap((line) => line.ns)
      .sort((one, other) => one - other);
    const batch = of("time").batch ?? 1;
    const percent = (share) => {
      if (batch > 1 && share > 50) return "–";
      return samples.length < CARRIED[share]
        ? "n too small"
        : time(samples[Math.ceil((samples.length * share) / 100) - 1]);
    };
    const cells = [
      time(of("load").load_ns),
      time(of("first").ns),
      ...[50, 90, 95, 99].map(percent),
      String(samples.length),
    ];
    const row = element("latency").querySelector("tbody tr");
    row.replaceChildren(...cells.map((text) => Object.assign(document.createElement("td"), { textContent: text })));
    element("latency").querySelector("table").hidden = of("load").simulated !== null;
    if (batch > 1)
      element("clock").textContent +=
        ` A sample is the mean of ${batch} inferences, which are shorter than the clock can tell: the tail does not show.`;
    URL.revokeObjectURL(this.link);
    this.link = URL.createObjectURL(new Blob([this.text()], { type: "application/jsonl" }));
    Object.assign(element("save"), { href: this.link, hidden: false });
    element("send").hidden = !this.address;
  }

  text() {
    return this.lines.map((line) => `${JSON.stringify(line)}\n`).join("");
  }

  async send() {
    const answer = await fetch(/** @type {string} */ (this.address), { method: "POST", body: this.text() }).catch(
      (error) => error,
    );
    element("status").textContent = answer.ok ? "Sent." : `Not sent: ${answer.status ?? answer.message}`;
  }
}

/** @param {number} ns */
const time = (ns) => String(Number((ns / 1e6).toPrecision(3)));
