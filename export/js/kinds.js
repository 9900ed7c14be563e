// @ts-check
/** Kinds of `preparation` and `decoding`: which a bundle has, and which these kits do. */

import { refused } from "./refused.js";

/** Kinds that bundles may have and these kits do not. */
const ELSEWHERE = ["items", "symbols", "ranking", "mel", "diffusion", "latent"];

/**
 * What does a part of a contract.
 *
 * @param {any} contract
 * @param {"preparation" | "decoding"} part
 * @param {Record<string, any>} known By kind.
 */
export function ofKind(contract, part, known) {
  const { kind } = contract[part];
  if (Object.hasOwn(known, kind)) return known[kind];
  if (ELSEWHERE.includes(kind))
    throw refused("kit", `this kit does not answer models for ${contract.task}, which need ${part} '${kind}'`);
  const message = `${part}.kind must be one of ${Object.keys(known).join(", ")} for this kit, got '${kind}'`;
  throw refused("contract", message, "contract.json");
}
