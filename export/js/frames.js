// @ts-check
/** Streaming: a sound becomes rows that follow each other. */

/**
 * @param {any} contract
 * @returns {number | null} Samples of a frame, where the model has states and reads one array of samples.
 */
export function frameSize({ preparation, states }) {
  const shapes = Object.values(preparation.arrays ?? {}).map((each) => each.shape);
  const streaming = Object.keys(states).length > 0 && shapes.length === 1 && shapes[0].length === 1;
  return streaming ? shapes[0][0] : null;
}

/**
 * @param {import("./prepare.js").Row} row @param {any} contract
 * @returns {Generator<import("./prepare.js").Row>} A sound's whole frames; any other row as it is.
 */
export function* frames(row, contract) {
  const size = frameSize(contract);
  if (!size || !row.sound) {
    yield row;
    return;
  }
  const [name] = Object.keys(contract.preparation.arrays);
  const { samples } = row.sound;
  for (let at = 0; at + size <= samples.length; at += size) yield { arrays: { [name]: samples.subarray(at, at + size) } };
}
