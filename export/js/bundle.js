// @ts-check
/** Opens a bundle: its files are those of its manifest, byte for byte, before anything is made of them. */

import { MANIFEST, SIGNATURE, readManifest } from "./manifest.js";
import { Refused, refused, shown } from "./refused.js";

/** Files that every bundle has. */
const NEEDED = [
  "MODEL_CARD.md",
  "contract.json",
  "golden.json",
  "lineage.json",
  "measurements.json",
  "required_operators.config",
];

const SCHEMAS = { "contract.json": "edgesft/contract", "golden.json": "edgesft/golden" };

/**
 * @typedef {object} Source Where a bundle's files are.
 * @property {Map<string, number>} sizes Name → bytes; of what is served file by file, what the manifest lists.
 * @property {(name: string) => Promise<Uint8Array>} read A file's bytes.
 */

/**
 * @typedef {object} Bundle One whose files are what they must be.
 * @property {Source} source
 * @property {import("./manifest.js").Manifest} manifest
 * @property {any} contract
 * @property {any} golden
 */

/**
 * @param {Source} source Its files.
 * @returns {Promise<Bundle>}
 */
export async function openBundle(source) {
  if (!source.sizes.has(MANIFEST)) {
    throw refused("missing", "must be there, got none: no bundle, or one that lost it", MANIFEST);
  }
  const manifest = readManifest(await source.read(MANIFEST));
  await checkFiles(source, manifest);
  return {
    source,
    manifest,
    contract: await readJson(source, "contract.json"),
    golden: await readJson(source, "golden.json"),
  };
}

/**
 * Every file that differs from the manifest: missing, extra or changed. A length is checked before a digest.
 *
 * @param {Source} source @param {import("./manifest.js").Manifest} manifest
 */
async function checkFiles(source, manifest) {
  const found = [];
  for (const name of [...NEEDED, ...Object.keys(manifest.files)]) {
    if (!Object.hasOwn(manifest.files, name))
      found.push(finding("missing", name, "must be a file of every bundle, got none"));
    else if (!source.sizes.has(name))
      found.push(finding("missing", name, "must be there, the manifest lists it; got no such file"));
  }
  for (const name of source.sizes.keys()) {
    if (name !== MANIFEST && name !== SIGNATURE && !Object.hasOwn(manifest.files, name)) {
      found.push(finding("extra", name, "must be a file of the manifest, got one that it does not list"));
    }
  }
  for (const [name, listed] of Object.entries(manifest.files)) {
    const size = source.sizes.get(name);
    if (size === undefined || found.some((each) => each.file === name)) continue;
    const problem = size === listed.length ? await differs(source, name, listed) : lengths(listed.length, size);
    if (problem) found.push(finding("changed", name, problem));
  }
  if (found.length > 0)
    throw new Refused(found.filter((each, place) => found.findIndex((other) => other.file === each.file) === place));
}

/** @param {Source} source @param {string} name @param {{ length: number, sha256: string }} listed */
async function differs(source, name, listed) {
  let data;
  try {
    data = await source.read(name);
  } catch (error) {
    if (error instanceof Refused) return error.findings[0].message;
    throw error;
  }
  if (data.length !== listed.length) return lengths(listed.length, data.length);
  const digest = await sha256(data);
  return digest === listed.sha256
    ? null
    : `must have sha256 ${listed.sha256.slice(0, 12)}…, got ${digest.slice(0, 12)}…: it is changed`;
}

const lengths = (wanted, got) => `must have ${wanted} bytes, got ${got}: it is changed`;

const finding = (kind, file, message) => ({ kind, file, message });

/**
 * @param {Uint8Array} data
 * @returns {Promise<string>} Its digest in hexadecimal digits.
 */
export async function sha256(data) {
  if (!globalThis.crypto?.subtle) {
    throw refused(
      "input",
      "this page must come by https or from localhost, or the browser does not hash: got plain http",
    );
  }
  const digest = await crypto.subtle.digest("SHA-256", /** @type {BufferSource} */ (data));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * @param {Source} source
 * @param {string} name
 * @returns {Promise<any>} A file's value; its format is one that is known.
 */
async function readJson(source, name) {
  let said;
  try {
    said = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(await source.read(name)));
  } catch (error) {
    throw refused("contract", `must be JSON, got ${error instanceof Error ? error.message : error}`, name);
  }
  if (said?.schema !== SCHEMAS[name])
    throw refused("contract", `schema must be '${SCHEMAS[name]}', got ${shown(said?.schema)}`, name);
  if (said.schema_version !== 1) {
    throw refused("contract", `schema_version must be 1 for this kit, got ${shown(said.schema_version)}`, name);
  }
  return said;
}
