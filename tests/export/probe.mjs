/** Asked by tests: calls functions of the shared library, one JSON object a line in and out. */

import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [, , folder] = process.argv;
const load = (name) => import(pathToFileURL(`${folder}/${name}`).href);

const { fromHalf, toHalf, unpacked } = await load("js/array.js");
const { split, trimmed } = await load("js/blanks.js");
const { audioFeed } = await load("js/audio.js");
const { seen } = await load("js/boxes.js");
const { Chance } = await load("js/chance.js");
const { openBundle } = await load("js/bundle.js");
const { imageFeed, imagePixels } = await load("js/image.js");
const { Tokenizer } = await load("js/tokenizer.js");
const { select } = await load("js/variant.js");
const { isWav, readWav } = await load("js/wav.js");
const { normalised, traced, words } = await load("js/wordpiece.js");
const { openFiles } = await load("node/files.js");

const bytes = (said) => new Uint8Array(Buffer.from(said, "base64"));
const floats = (said) => new Float64Array(bytes(said).buffer);
const base64 = (data) => Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("base64");
const packed = ({ dtype, shape, data }) => ({ dtype, shape, data: base64(data) });

const library = await import("@huggingface/tokenizers").catch(() => null);

const OPERATIONS = {
  tokens({ tokenizer, options, texts }) {
    const made = new Tokenizer(tokenizer, options, library);
    return texts.map((text) => made.encode(text)).map(({ ids, attention_mask, type_ids }) => ({ ids, attention_mask, type_ids }));
  },
  pairs({ tokenizer, texts, answers }) {
    const made = new Tokenizer(tokenizer, { max_length: Infinity, truncation_side: "right", kind: "text" });
    return {
      ids: texts.map((text) => made.encode(text).ids),
      plain: texts.map((text) => made.tokens(text).map((token) => token.id)),
      texts: answers.map((ids) => made.decode(ids)),
    };
  },
  chance({ seed, count }) {
    const made = new Chance(seed);
    return Array.from({ length: count }, () => made.next());
  },
  normalised: ({ texts, options }) => texts.map((text) => normalised(traced(text), options).text),
  blanks: ({ texts }) => texts.map((text) => [trimmed(text), split(text)]),
  words: ({ texts }) => texts.map((text) => words(traced(text)).map((word) => word.text)),
  pixels({ picture, options }) {
    const { height, width, channels, data } = imagePixels({ ...picture, data: bytes(picture.data) }, options);
    return packed({ dtype: "uint8", shape: [height, width, channels], data });
  },
  picture: ({ picture, options }) => packed(imageFeed({ ...picture, data: bytes(picture.data) }, options)),
  sound: ({ samples, rate, options }) => packed(audioFeed({ samples: floats(samples), rate }, options)),
  wav({ data }) {
    const { rate, samples } = readWav(bytes(data));
    return { wav: isWav(bytes(data)), rate, samples: base64(samples) };
  },
  boxes({ said, labels, outputs }) {
    const arrays = Object.entries(outputs).map(([name, each]) => [name, unpacked(each, name)]);
    return seen(said, labels, Object.fromEntries(arrays));
  },
  halves: ({ values }) => values.map((value) => [toHalf(value), fromHalf(toHalf(value))]),
  select({ variants, device }) {
    const taken = select(variants, device);
    return taken && [taken.variant.name, taken.provider];
  },
  async open({ path }) {
    const bundle = await openBundle(await openFiles(path));
    return bundle.manifest.name;
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { op, ...asked } = JSON.parse(line);
  let answer;
  try {
    answer = { value: await OPERATIONS[op](asked) };
  } catch (error) {
    answer = error.findings ? { findings: error.findings } : { broken: String(error.stack) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
