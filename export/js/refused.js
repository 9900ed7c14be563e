// @ts-check
/** What is wrong, and where. */

/**
 * @typedef {object} Finding
 * @property {string} kind archive, name, link, manifest, missing, extra, changed, contract, model, golden, input,
 *   provider or kit
 * @property {string | null} file Which file of the bundle; null where it is none.
 * @property {string} message What must be, and what was got.
 */

/** A bundle or an input that is not what it must be; carries everything that was found. */
export class Refused extends Error {
  /** @param {Finding[]} findings At least one. */
  constructor(findings) {
    super(findings.map((each) => (each.file ? `${each.file}: ${each.message}` : each.message)).join("\n"));
    this.name = "Refused";
    this.findings = findings;
  }
}

/**
 * @param {string} kind Of the finding.
 * @param {string} message What must be, and what was got.
 * @param {string | null} file Of the bundle.
 * @returns {Refused} To be thrown.
 */
export function refused(kind, message, file = null) {
  return new Refused([{ kind, file, message }]);
}

/**
 * @param {unknown} value Of a file that anybody may have written.
 * @returns {string} As a message shows it.
 */
export function shown(value) {
  const text = value === undefined ? "nothing" : JSON.stringify(value);
  return text.length <= 60 ? text : `${text.slice(0, 60)}…`;
}
