/**
 * `npx tsx bench/layers.ts [SHAPE ...] [--quantize q4]`: one layer of each published shape, and the largest head (128,256 x 8,192), with
 * random weights on a software driver whose bindings end at 128 MiB, against the reference engine. Proves splitting, tails and index
 * arithmetic at these widths. Prints a table; needs up to 6 GB for the widest. TILLER_TEST_DEVICE chooses the device.
 */
import { parseArgs } from 'node:util';
import { loadCore } from '../src/engine/webgpu/load.ts';
import { score } from '../src/engine/webgpu/score.ts';
import { createReferenceEngine } from '../src/engine/reference/index.ts';
import { parseConfig } from '../src/model/config.ts';
import { publishedShapes } from '../src/model/published.ts';
import { testDevices } from '../test/devices.ts';
import { randomPackedSource } from './packed-source.ts';

/** Vocabulary of the layers' runs: the head has a run of its own. */
const VOCAB = 1000;
const HEAD = 'head-128256x8192';

const { values, positionals } = parseArgs({ allowPositionals: true, options: { quantize: { type: 'string', default: 'q4' } } });
const quantization = values.quantize === 'q8' ? 'q8' : 'q4';
const [device] = await testDevices();
if (!device.host) throw new Error(device.skip ?? 'no device');

const wide = publishedShapes.find(({ id }) => id === 'llama-3-70b');
if (!wide) throw new Error('no llama-3-70b');
const shapes = [
  ...publishedShapes.map(({ id, config }) => ({ id, config: { ...config, num_hidden_layers: 1, vocab_size: VOCAB } })),
  {
    id: HEAD,
    config: {
      ...wide.config,
      num_hidden_layers: 1,
      intermediate_size: 64,
      num_attention_heads: 1,
      num_key_value_heads: 1,
      head_dim: 64,
      tie_word_embeddings: true,
    },
  },
].filter(({ id }) => positionals.length === 0 || positionals.includes(id));

const now = (): number => performance.now();
for (const { id, config } of shapes) {
  const spec = parseConfig(config);
  const source = randomPackedSource(spec, quantization);
  const ids = [1, 5, spec.vocab - 1];
  const core = await loadCore(spec, source, device.host, { quantization, precision: 'f32', maxContext: 64, now });
  const { embed, layers } = core.model.weights;
  const parts = [embed, layers[0].qkv, layers[0].o, layers[0].gateUp, layers[0].down].map((matrix) => matrix.parts.length);
  const got = (await score(core, { sequences: [{ ids }], logits: true })).sequences[0].logits;
  const { adapter, memory } = core.info;
  const { bindingLimit } = core.memory;
  core.health.close();
  core.device.destroy();

  const reference = await createReferenceEngine(spec, source, { quantization: 'none', maxContext: 64, now });
  const wanted = (await reference.score({ sequences: [{ ids }], logits: true })).sequences[0].logits;
  await reference.dispose();
  if (!got || !wanted) throw new Error('no logits');
  let [difference, largest] = [0, 0];
  wanted.forEach((value, i) => {
    // Written so that NaN shows.
    difference = Math.abs(got[i] - value) <= difference ? difference : Math.abs(got[i] - value);
    largest = Math.max(largest, Math.abs(value));
  });
  const row = {
    shape: id,
    adapter: adapter.name,
    bindingMiB: bindingLimit / 2 ** 20,
    weightsMB: Math.round(memory.weights / 1e6),
    parts: { embed: parts[0], qkv: parts[1], o: parts[2], gateUp: parts[3], down: parts[4] },
    largestLogit: Number(largest.toPrecision(4)),
    difference: Number(difference.toPrecision(3)),
  };
  console.log(JSON.stringify(row));
  if (!(difference <= 1e-4 * largest)) throw new Error(`${id}: logits differ by ${difference}, of at most ${largest}`);
}
process.exit(0);
