// @ts-check
/**
 * Reads PGM and PPM files with 8 bits a channel (netpbm's pgm(5) and ppm(5), their raw forms): nothing is compressed.
 */

import { refused } from "./refused.js";

const CHANNELS = { P5: 1, P6: 3 };

/**
 * @param {Uint8Array} data What a file holds.
 * @returns {import("./resize.js").Picture | null} Null where it is no such file.
 */
export function readNetpbm(data) {
  const channels = CHANNELS[String.fromCharCode(...data.subarray(0, 2))];
  if (!channels) return null;
  const head = new TextDecoder("latin1").decode(data.subarray(0, 1024));
  const found = /^P[56](?:\s+#[^\n]*)*\s+(\d+)(?:\s+#[^\n]*)*\s+(\d+)(?:\s+#[^\n]*)*\s+(\d+)\s/.exec(head);
  const [width, height, most] = (found ?? []).slice(1).map(Number);
  const start = found?.[0].length ?? 0;
  if (most !== 255 || !(width > 0 && height > 0) || data.length < start + width * height * channels) {
    throw refused(
      "input",
      `a picture of type ${head.slice(0, 2)} must be whole and have 8 bits a channel, got ${data.length} bytes`,
    );
  }
  return { height, width, channels, data: data.subarray(start, start + width * height * channels) };
}
