// @ts-check
/** Where a bundle's files are on a disk: a folder, or an archive. */

import { constants } from "node:fs";
import { lstat, mkdtemp, mkdir, open, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

import { openArchive } from "../js/archive.js";
import { clash, wrongName } from "../js/names.js";
import { refused } from "../js/refused.js";

const MOST_FILES = 10_000;

/**
 * @param {string} path Of a folder or an archive.
 * @returns {Promise<import("../js/bundle.js").Source & { folder: string | null }>}
 */
export async function openFiles(path) {
  const told = await lstat(path).catch(() => null);
  if (told?.isDirectory()) return folder(path);
  if (!told?.isFile()) throw refused("input", `bundle must be a folder or an archive that exists, got '${path}'`);
  const file = await open(path);
  const slice = async (start, end) => {
    const data = new Uint8Array(end - start);
    const { bytesRead } = await file.read(data, 0, data.length, start);
    return data.subarray(0, bytesRead);
  };
  return { folder: null, ...(await openArchive({ size: told.size, slice })) };
}

/** @param {string} path */
async function folder(path) {
  const sizes = new Map();
  const walk = async (before) => {
    const entries = await readdir(join(path, before), { withFileTypes: true });
    for (const entry of entries.sort((one, other) => (one.name < other.name ? -1 : 1))) {
      const name = `${before}${entry.name}`;
      if (entry.isSymbolicLink()) throw refused("link", "must be a plain file, got a link", name);
      const problem = wrongName(name);
      if (problem) throw refused("extra", `a name ${problem}`, name);
      if (entry.isDirectory()) await walk(`${name}/`);
      else if (!entry.isFile()) throw refused("link", "must be a plain file, got a pipe, socket or device", name);
      else if (sizes.size === MOST_FILES) throw refused("extra", `files must be at most ${MOST_FILES}, got more`);
      else sizes.set(name, (await lstat(join(path, name))).size);
    }
  };
  await walk("");
  const pair = clash([...sizes.keys()].sort());
  if (pair) throw refused("name", `must be there once, got it beside '${pair[0]}', one file on some systems`, pair[1]);
  return { folder: path, sizes, read: (name) => read(join(path, name)) };
}

/** @param {string} path Of a file; a link is not followed. */
async function read(path) {
  const file = await open(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0));
  try {
    return new Uint8Array(await file.readFile());
  } finally {
    await file.close();
  }
}

/**
 * Calls with a folder that has some files of a bundle: its own, or one that an archive's are unpacked to.
 *
 * @template T
 * @param {any} source @param {string[]} names @param {(folder: string) => Promise<T>} use
 * @returns {Promise<T>}
 */
export async function unpacked(source, names, use) {
  if (source.folder) return use(source.folder);
  const place = await mkdtemp(join(tmpdir(), "edgesft-"));
  try {
    for (const name of names) {
      await mkdir(dirname(join(place, name)), { recursive: true });
      await writeFile(join(place, name), await source.read(name), { flag: "wx" });
    }
    return await use(place);
  } finally {
    await rm(place, { recursive: true, force: true });
  }
}
