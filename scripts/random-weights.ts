/**
 * Writes a folder with the exact published shapes of a model and random bfloat16 weights: `npx tsx scripts/random-weights.ts
 * llama-3.2-1b|llama-2-7b|... OUT [SEED]`. Proves limits, splitting and tails without anyone's licence. Weights are streamed; the
 * same seed gives the same files. There is no tokenizer: such a model runs on token ids.
 *
 * Shapes of more than two billion numbers are sharded as on the hub, and cheap: a block of 2^24 random values is drawn once, and every
 * 8 MiB of a tensor begin at another random place of it. No two rows of a tensor are alike, but rows of different tensors may overlap.
 */
import { mkdir, open, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { TillerError } from '../src/errors/error.ts';
import { bf16Bits } from '../src/formats/float16.ts';
import { safetensorsHeader } from '../src/formats/safetensors.ts';
import { parseConfig } from '../src/model/config.ts';
import { knownModel, knownModels } from '../src/model/known.ts';
import { tensorLayout } from '../src/model/layout.ts';
import { parameterCount } from '../src/model/memory.ts';
import { publishedShapes } from '../src/model/published.ts';

const CHUNK = 2 ** 22;
/** Spread of the weights: keeps activations of order one to ten through all layers. */
const SPREAD = 0.02;

/** bfloat16 values of a bell curve (sum of four uniforms), picked by 16 random bits. */
function bellTable(next: () => number): Uint16Array {
  const table = new Uint16Array(65536);
  for (let i = 0; i < table.length; i++) {
    const sum = next() + next() + next() + next();
    table[i] = bf16Bits(SPREAD * Math.sqrt(3) * (sum / 2 ** 32 - 2));
  }
  return table;
}

/** xorshift32: small, fast, good enough for weights that mean nothing. */
function xorshift(seed: number): () => number {
  let state = seed >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state >>>= 0;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>>= 0);
  };
}

export interface RandomWeightsOptions {
  readonly seed?: number;
  /** Replaces values of the published config, for smaller copies of the same shape. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Bytes of a shard, at most. @default one file up to two billion numbers, else 5 GB, as on the hub */
  readonly shardBytes?: number;
}

const LARGE = 2e9;
const SHARD_BYTES = 5e9;
const BLOCK = 2 ** 24;

interface RandomTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: 'BF16';
}

const sizeOf = ({ shape }: RandomTensor): number => shape.reduce((product, length) => product * length, 2);

/** Files in the order of the tensors. */
function sharded(tensors: readonly RandomTensor[], limit: number): { readonly name: string; readonly tensors: readonly RandomTensor[] }[] {
  const shards: RandomTensor[][] = [[]];
  let bytes = 0;
  for (const tensor of tensors) {
    if (bytes > 0 && bytes + sizeOf(tensor) > limit) {
      shards.push([]);
      bytes = 0;
    }
    shards[shards.length - 1].push(tensor);
    bytes += sizeOf(tensor);
  }
  const five = (n: number): string => String(n).padStart(5, '0');
  return shards.map((shard, i) => ({
    name: shards.length === 1 ? 'model.safetensors' : `model-${five(i + 1)}-of-${five(shards.length)}.safetensors`,
    tensors: shard,
  }));
}

/** Fills arrays with weights: each value drawn, or runs of a block that was drawn once. */
function weightMaker(next: () => number, cheap: boolean): (values: Uint16Array) => void {
  const table = bellTable(next);
  const draw = (values: Uint16Array): void => {
    for (let i = 0; i < values.length; i += 2) {
      const bits = next();
      values[i] = table[bits & 0xffff];
      values[i + 1] = table[bits >>> 16];
    }
  };
  if (!cheap) return draw;
  const block = new Uint16Array(BLOCK);
  draw(block);
  return (values) => {
    const from = next() % (BLOCK - values.length);
    values.set(block.subarray(from, from + values.length));
  };
}

/** Writes config.json and the safetensors files into `folder`; config.json last, so that a folder that has it is complete. */
export async function writeRandomModel(id: string, folder: string, options: RandomWeightsOptions = {}): Promise<void> {
  const known = publishedShapes.find((shape) => shape.id === id) ?? knownModel(id);
  if (!known) {
    const ids = [...knownModels, ...publishedShapes].map((model) => model.id);
    throw new TillerError('model/not-found', { place: id, problem: `known are ${ids.join(', ')}` });
  }
  const config = { ...known.config, ...options.config };
  const spec = parseConfig(config);
  const large = parameterCount(spec) > LARGE;
  const tensors = tensorLayout(spec).map(({ name, shape }) => ({ name, shape, dtype: 'BF16' as const }));
  const fill = weightMaker(xorshift(options.seed ?? 1), large);
  const one = bf16Bits(1 - spec.normOffset);
  const shards = sharded(tensors, options.shardBytes ?? (large ? SHARD_BYTES : Number.POSITIVE_INFINITY));

  await mkdir(folder, { recursive: true });
  for (const shard of shards) {
    const path = join(folder, shard.name);
    const file = await open(`${path}.part`, 'w');
    try {
      await file.write(safetensorsHeader(shard.tensors, { format: 'pt' }));
      for (const tensor of shard.tensors) {
        const norm = tensor.shape.length === 1 && tensor.name.endsWith('norm.weight');
        let left = sizeOf(tensor) / 2;
        while (left > 0) {
          const values = new Uint16Array(Math.min(left, CHUNK));
          if (norm) values.fill(one);
          else fill(values);
          await file.write(new Uint8Array(values.buffer));
          left -= values.length;
        }
      }
    } finally {
      await file.close();
    }
    await rename(`${path}.part`, path);
  }
  if (shards.length > 1) {
    const weightMap = Object.fromEntries(shards.flatMap((shard) => shard.tensors.map(({ name }) => [name, shard.name])));
    const index = { metadata: { total_size: tensors.reduce((sum, tensor) => sum + sizeOf(tensor), 0) }, weight_map: weightMap };
    await writeFile(join(folder, 'model.safetensors.index.json'), `${JSON.stringify(index, null, 2)}\n`);
  }
  await writeFile(join(folder, 'config.json'), `${JSON.stringify({ ...config, torch_dtype: 'bfloat16' }, null, 2)}\n`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [id, folder, seed] = process.argv.slice(2);
  if (!id || !folder) {
    console.error('usage: npx tsx scripts/random-weights.ts MODEL OUT [SEED]');
    process.exitCode = 2;
  } else {
    try {
      await writeRandomModel(id, folder, seed === undefined ? {} : { seed: Number(seed) });
    } catch (error) {
      console.error(error instanceof TillerError ? `${error.message}\n${error.fix}` : error);
      process.exitCode = 1;
    }
  }
}
