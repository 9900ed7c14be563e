// @ts-check
/** A microphone's samples as they come. Not tested: no test has a microphone. */

/** Runs on the audio's own thread: hands on what came, a block of so many samples at a time. */
const RECORDER = `
registerProcessor("recorder", class extends AudioWorkletProcessor {
  process([[samples]]) {
    if (samples) this.port.postMessage(samples.slice());
    return true;
  }
});`;

/**
 * @param {{ rate: number }} preparation The contract's; the browser resamples to its rate.
 * @param {(sound: import("../js/wav.js").Sound) => Promise<void>} heard Takes samples, one block after another.
 * @returns {Promise<() => void>} Ends it.
 */
export async function listen({ rate }, heard) {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1 } });
  const context = new AudioContext({ sampleRate: rate });
  const module = URL.createObjectURL(new Blob([RECORDER], { type: "text/javascript" }));
  await context.audioWorklet.addModule(module);
  URL.revokeObjectURL(module);
  const recorder = new AudioWorkletNode(context, "recorder", { numberOfOutputs: 0 });
  let before = Promise.resolve();
  recorder.port.onmessage = ({ data }) => (before = before.then(() => heard({ rate, samples: Float64Array.from(data) })));
  context.createMediaStreamSource(stream).connect(recorder);
  return () => {
    stream.getTracks().forEach((track) => track.stop());
    context.close();
  };
}
