// @ts-check
/** Names of a bundle's files: below its folder, and one file each on every system (export/BUNDLE.md, "Files"). */

const LONGEST = 200;
const DEEPEST = 8;
const PART = /^[A-Za-z0-9_][A-Za-z0-9_.+-]*$/;

/** Devices on Windows, whatever their ending. */
const RESERVED = /^(con|prn|aux|nul|com\d|lpt\d)(\..*)?$/i;

/**
 * @param {string} name Of a file.
 * @returns {string | null} Why no file of a bundle may be called so; null where it may.
 */
export function wrongName(name) {
  if (/^[/\\]|^[A-Za-z]:/.test(name)) return "must lie below the bundle's folder, got an absolute path";
  const parts = name.split("/");
  if (parts.includes("..") || name.includes("..\\")) return "must lie below the bundle's folder, got '..' in it";
  if (name.length > LONGEST || parts.length > DEEPEST) {
    return `must have at most ${LONGEST} characters and ${DEEPEST} parts, got ${name.length} and ${parts.length}`;
  }
  for (const part of parts) {
    if (!PART.test(part) || part.endsWith(".")) {
      return `must be made of letters, digits and _ . + - (none of . + - first, no . last), got '${part}'`;
    }
    if (RESERVED.test(part)) return `must not be a device's name on Windows, got '${part}'`;
  }
  return null;
}

/**
 * Names that are one file on some system: twice the same, but for capitals, or a file that is also a folder.
 *
 * @param {Iterable<string>} names All of them.
 * @returns {[string, string] | null} The first pair.
 */
export function clash(names) {
  const files = new Map();
  const folders = new Map();
  for (const name of names) {
    const folded = name.toLowerCase();
    const other = files.get(folded) ?? folders.get(folded);
    if (other !== undefined) return [other, name];
    files.set(folded, name);
    for (let end = folded.lastIndexOf("/"); end > 0; end = folded.lastIndexOf("/", end - 1)) {
      const folder = folded.slice(0, end);
      if (files.has(folder)) return [files.get(folder), name];
      if (!folders.has(folder)) folders.set(folder, name);
    }
  }
  return null;
}
