// @ts-check
/**
 * Reads the archive: a zip of which every byte follows from the names and contents (export/BUNDLE.md, "The archive").
 *
 * Whatever is laid out otherwise is refused. So links, duplicates, overlaps and bombs cannot be written down, and no
 * two programs see different files in one archive.
 */

import { clash, wrongName } from "./names.js";
import { refused } from "./refused.js";

const LOCAL_BYTES = 30;
const CENTRAL_BYTES = 46;
const END_BYTES = 22;
const LOCAL_MARK = 0x04034b50;
const CENTRAL_MARK = 0x02014b50;
const END_MARK = 0x06054b50;
const NEEDED = 10;
const MADE_BY = 0x0314;
const DATE = 0x0021;
const ATTRIBUTES = 0x81a40000;
const PLAIN = 8;
const LINK = 10;
const ALIGNED = 4096;
const PADDING_ID = 0xd935;
const LEAST_PADDING = 6;
const MOST_FILES = 10_000;
const LONGEST_NAME = 200;

/**
 * @typedef {object} Bytes What holds an archive.
 * @property {number} size How many.
 * @property {(start: number, end: number) => Promise<Uint8Array>} slice Some of them.
 */

/**
 * @typedef {object} Entry A file of an archive.
 * @property {string} name What it is called.
 * @property {number} size Its bytes.
 * @property {number} crc Their CRC-32.
 * @property {number} offset Of its header.
 * @property {number} start Of its bytes.
 */

/**
 * @param {Bytes} bytes Of the archive.
 * @returns {Promise<{ sizes: Map<string, number>, read: (name: string) => Promise<Uint8Array> }>} Its files.
 */
export async function openArchive(bytes) {
  const entries = new Map((await directory(bytes)).map((entry) => [entry.name, entry]));
  return {
    sizes: new Map([...entries.values()].map((entry) => [entry.name, entry.size])),
    async read(name) {
      const entry = entries.get(name);
      if (!entry) throw refused("missing", "must be there, got no such file", name);
      const found = await bytes.slice(entry.start, entry.start + entry.size);
      if (crc32(found) !== entry.crc) {
        const message = `must have the CRC-32 ${hex(entry.crc)} of the archive, got ${hex(crc32(found))}: it is changed`;
        throw refused("changed", message, name);
      }
      return found;
    },
  };
}

/** @param {Bytes} bytes @returns {Promise<Entry[]>} */
async function directory(bytes) {
  const size = bytes.size;
  if (size < END_BYTES) throw wrong(`must end with its directory, got ${size} bytes: it is cut short`);
  const end = view(await bytes.slice(size - END_BYTES, size));
  if (end.getUint32(0, true) !== END_MARK) {
    throw wrong("must end with its directory, got other bytes there: it is cut short, or something was added");
  }
  const count = end.getUint16(10, true);
  const pieces = end.getUint32(4, true) || end.getUint16(20, true) || end.getUint16(8, true) !== count;
  if (pieces || count > MOST_FILES) throw wrong(`must have at most ${MOST_FILES} files in one piece and no comment`);
  const length = end.getUint32(12, true);
  const start = end.getUint32(16, true);
  if (length > MOST_FILES * (CENTRAL_BYTES + LONGEST_NAME) || start + length !== size - END_BYTES) {
    throw wrong(`must have its directory at byte ${size - END_BYTES - length}, got ${start}: bytes were added or lost`);
  }
  const entries = recorded(await bytes.slice(start, start + length), count);
  await follow(entries, bytes, start);
  return entries;
}

/** @param {Uint8Array} data @param {number} count @returns {Entry[]} */
function recorded(data, count) {
  const entries = [];
  let place = 0;
  for (let index = 0; index < count; index++) {
    if (place + CENTRAL_BYTES > data.length) throw wrong(`must have ${count} files in its directory, got ${index}`);
    const fields = view(data.subarray(place, place + CENTRAL_BYTES));
    const named = fields.getUint16(28, true);
    const name = String.fromCharCode(...data.subarray(place + CENTRAL_BYTES, place + CENTRAL_BYTES + named));
    const problem = wrongName(name);
    if (problem) throw refused("name", `a name ${problem}`, name);
    const kind = (fields.getUint32(38, true) >>> 28) & 15;
    if (kind && kind !== PLAIN)
      throw refused("link", `must be a plain file, got ${kind === LINK ? "a link" : "something else"}`, name);
    const entry = {
      name,
      size: fields.getUint32(24, true),
      crc: fields.getUint32(16, true),
      offset: fields.getUint32(42, true),
      start: 0,
    };
    const record = central(entry);
    if (!same(data.subarray(place, place + record.length), record)) {
      const message = "must be stored as it is, and have its record of the directory as edgesft writes it, got another";
      throw wrong(message, name);
    }
    place += record.length;
    entries.push(entry);
  }
  if (place !== data.length) throw wrong(`must have a directory of ${place} bytes, got ${data.length}`);
  const pair = clash(entries.map((entry) => entry.name));
  if (pair) throw refused("name", `must be there once, got it beside '${pair[0]}', one file on some systems`, pair[1]);
  return entries;
}

/**
 * Checks that the files lie one behind the other, in the order of their names, up to the directory.
 *
 * @param {Entry[]} entries @param {Bytes} bytes @param {number} end
 */
async function follow(entries, bytes, end) {
  let place = 0;
  let before = "";
  for (const entry of entries) {
    if (before > entry.name) throw wrong(`must come before '${before}', got it behind`, entry.name);
    if (entry.offset !== place) {
      throw wrong(`must lie at byte ${place}, got ${entry.offset}: files overlap, or bytes lie between`, entry.name);
    }
    const header = local(entry);
    entry.start = place + header.length;
    if (entry.start + entry.size > end) throw wrong(`must end before the directory at byte ${end}`, entry.name);
    if (!same(await bytes.slice(place, entry.start), header)) {
      throw wrong("must have the header that the directory says, got another", entry.name);
    }
    place = entry.start + entry.size;
    before = entry.name;
  }
  if (place !== end) throw wrong(`must end at byte ${end}, got ${place}: bytes lie before the directory`);
}

/** What stands before a file's bytes. @param {Entry} entry */
function local(entry) {
  const named = entry.name.length;
  const before = entry.offset + LOCAL_BYTES + named + LEAST_PADDING;
  const zeros = (ALIGNED - (before % ALIGNED)) % ALIGNED;
  const extra = entry.size >= ALIGNED ? LEAST_PADDING + zeros : 0;
  const data = new Uint8Array(LOCAL_BYTES + named + extra);
  const fields = view(data);
  fields.setUint32(0, LOCAL_MARK, true);
  fields.setUint16(4, NEEDED, true);
  common(fields, 12, entry);
  fields.setUint16(28, extra, true);
  data.set(ascii(entry.name), LOCAL_BYTES);
  if (extra) {
    fields.setUint16(LOCAL_BYTES + named, PADDING_ID, true);
    fields.setUint16(LOCAL_BYTES + named + 2, 2 + zeros, true);
    fields.setUint16(LOCAL_BYTES + named + 4, ALIGNED, true);
  }
  return data;
}

/** What the directory has of a file. @param {Entry} entry */
function central(entry) {
  const data = new Uint8Array(CENTRAL_BYTES + entry.name.length);
  const fields = view(data);
  fields.setUint32(0, CENTRAL_MARK, true);
  fields.setUint16(4, MADE_BY, true);
  fields.setUint16(6, NEEDED, true);
  common(fields, 14, entry);
  fields.setUint32(38, ATTRIBUTES, true);
  fields.setUint32(42, entry.offset, true);
  data.set(ascii(entry.name), CENTRAL_BYTES);
  return data;
}

/** @param {DataView} fields @param {number} at Of the date. @param {Entry} entry */
function common(fields, at, entry) {
  fields.setUint16(at, DATE, true);
  fields.setUint32(at + 2, entry.crc, true);
  fields.setUint32(at + 6, entry.size, true);
  fields.setUint32(at + 10, entry.size, true);
  fields.setUint16(at + 14, entry.name.length, true);
}

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

/** @param {Uint8Array} data */
function crc32(data) {
  let crc = 0xffffffff;
  for (let place = 0; place < data.length; place++) crc = TABLE[(crc ^ data[place]) & 255] ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** @param {Uint8Array} data */
const view = (data) => new DataView(data.buffer, data.byteOffset, data.byteLength);

/** @param {string} text */
const ascii = (text) => Uint8Array.from(text, (letter) => letter.charCodeAt(0));

/** @param {Uint8Array} one @param {Uint8Array} other */
const same = (one, other) => one.length === other.length && one.every((byte, place) => byte === other[place]);

/** @param {number} value */
const hex = (value) => value.toString(16).padStart(8, "0");

/** @param {string} message @param {string | null} name */
const wrong = (message, name = null) => refused("archive", name ? message : `archive ${message}`, name);
