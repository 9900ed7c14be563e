// @ts-check
/** What identifies this machine and what slows it, as agent.py tells it; null where the system does not. */

import { readFileSync, readdirSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import { dirname, join } from "node:path";

/** Instruction sets that decide how fast a model runs, as Linux names them. */
const INSTRUCTIONS = [
  "avx2",
  "fma",
  "f16c",
  "avx512f",
  "avx512bw",
  "avx512_vnni",
  "avx_vnni",
  "avx_vnni_int8",
  "avx512_bf16",
  "avx512_fp16",
  "amx_tile",
  "amx_int8",
  "amx_bf16",
  "asimd",
  "asimdhp",
  "asimddp",
  "i8mm",
  "bf16",
  "sve",
  "sve2",
];

/** Node's name → Linux's. */
const ARCHITECTURES = { x64: "x86_64", arm64: "aarch64", ia32: "i686", arm: "armv7l" };
const SYSTEMS = { linux: "Linux", darwin: "Darwin", win32: "Windows", android: "Android" };

/** Libraries that compute on the CPU what a GPU's driver would. */
const SOFTWARE = ["libvk_swiftshader", "libvulkan_lvp", "libEGL_mesa_swrast"];

export const architecture = ARCHITECTURES[process.arch] ?? process.arch;

/** @param {string} path @returns {string | null} */
function text(path) {
  try {
    return readFileSync(path, "utf-8").replace(/^[\0\s]+|[\0\s]+$/g, "") || null;
  } catch {
    return null;
  }
}

/** @param {string} folder @param {RegExp} entries @param {string} file @returns {number[]} */
function numbers(folder, entries, file) {
  try {
    const found = readdirSync(folder).filter((name) => entries.test(name));
    return found
      .map((name) => text(join(folder, name, file)))
      .filter((said) => /^-?\d+$/.test(said ?? ""))
      .map(Number);
  } catch {
    return [];
  }
}

/** @param {string} file @param {string} name @returns {number | null} */
function kibibytes(file, name) {
  const found = new RegExp(`^${name}:\\s*(\\d+)`, "m").exec(text(file) ?? "");
  return found ? Number(found[1]) * 1024 : null;
}

/** @param {number[]} values */
const greatest = (values) => (values.length ? Math.max(...values) : null);

/** @param {string} version Of onnxruntime-node. */
export function machine(version) {
  const flags = (/^(?:flags|Features)\s*: (.*)$/m.exec(text("/proc/cpuinfo") ?? "")?.[1] ?? "").split(" ");
  const caches = "/sys/devices/system/cpu/cpu0/cache";
  const sizes = (() => {
    try {
      return readdirSync(caches)
        .map((name) => /^(\d+)K$/.exec(text(join(caches, name, "size")) ?? "")?.[1])
        .filter(Boolean);
    } catch {
      return [];
    }
  })();
  return {
    architecture,
    system: SYSTEMS[process.platform] ?? process.platform,
    model: os.cpus()[0]?.model || null,
    board: text("/proc/device-tree/model") ?? text("/sys/class/dmi/id/product_name"),
    cores: os.availableParallelism(),
    instructions: INSTRUCTIONS.filter((name) => flags.includes(name)),
    governor: text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
    memory_bytes: os.totalmem(),
    cache_bytes: greatest(sizes.map((size) => Number(size) * 1024)),
    kernel: os.release(),
    python: null,
    node: process.versions.node,
    onnxruntime: `onnxruntime-node ${version}`,
  };
}

/** What may slow this machine just now. */
export function state() {
  const cpus = "/sys/devices/system/cpu";
  const throttles = numbers(cpus, /^cpu\d+$/, "thermal_throttle/core_throttle_count");
  return {
    load: process.platform === "win32" ? null : os.loadavg()[0],
    temperature_mc: greatest(numbers("/sys/class/thermal", /^thermal_zone/, "temp")),
    frequency_khz: greatest(numbers(cpus, /^cpu\d+$/, "cpufreq/scaling_cur_freq")),
    throttles: throttles.length ? throttles.reduce((sum, each) => sum + each, 0) : null,
    memory_free_bytes: kibibytes("/proc/meminfo", "MemAvailable") ?? os.freemem(),
  };
}

/** The most bytes that were resident in this process. */
export const peakBytes = () => kibibytes("/proc/self/status", "VmHWM") ?? process.resourceUsage().maxRSS * 1024;

/** @param {string} provider @returns {string | null} What stands in for its hardware in this process. */
export function simulated(provider) {
  const loaded = text("/proc/self/maps") ?? "";
  const emulator = /\/(qemu-[\w-]+)/.exec(loaded);
  if (emulator) return `${emulator[1]}, which emulates ${architecture}`;
  const found = SOFTWARE.find((name) => loaded.includes(name));
  return provider === "WebGpuExecutionProvider" && found ? `software in place of a GPU (${found})` : null;
}

/** @returns {number | null} Of the runtime's libraries. */
export function runtimeBytes() {
  const place = join(dirname(createRequire(import.meta.url).resolve("onnxruntime-node/package.json")), "bin/napi-v6");
  try {
    const folder = join(place, process.platform, process.arch);
    return readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
  } catch {
    return null;
  }
}
