// @ts-check
/** A microphone's samples as they come. */

/** Runs on the audio's own thread: hands on what came, a block at a time. */
const RECORDER = `
registerProcessor("recorder", class extends AudioWorkletProcessor {
  process([[samples]]) {
    if (samples) this.port.postMessage(samples.slice());
    return true;
  }
});`;

/**
 * @param {number} rate Samples a second; the browser resamples to it.
 * @param {(samples: Float32Array) => Promise<void>} heard Takes samples, one block after another.
 * @returns {Promise<() => Promise<void>>} Ends it, once all blocks are taken.
 */
export async function listen(rate, heard) {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1 } });
  const context = new AudioContext({ sampleRate: rate });
  const module = URL.createObjectURL(new Blob([RECORDER], { type: "text/javascript" }));
  await context.audioWorklet.addModule(module);
  URL.revokeObjectURL(module);
  const recorder = new AudioWorkletNode(context, "recorder", { numberOfOutputs: 0 });
  let before = Promise.resolve();
  recorder.port.onmessage = ({ data }) => (before = before.then(() => heard(data)));
  context.createMediaStreamSource(stream).connect(recorder);
  return async () => {
    stream.getTracks().forEach((track) => track.stop());
    await context.close();
    await before;
  };
}
