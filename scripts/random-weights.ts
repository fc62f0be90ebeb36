/**
 * Writes a folder with the exact published shapes of a model and random bfloat16 weights: `npx tsx scripts/random-weights.ts
 * llama-3.2-1b|gemma-3-1b OUT [SEED]`. Proves limits, splitting and tails without anyone's licence. Weights are streamed; the
 * same seed gives the same file. There is no tokenizer: such a model runs on token ids.
 */
import { mkdir, open, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { TillerError } from '../src/errors/error.ts';
import { bf16Bits } from '../src/formats/float16.ts';
import { safetensorsHeader } from '../src/formats/safetensors.ts';
import { knownModel, knownModels, knownShape } from '../src/model/known.ts';
import { tensorLayout } from '../src/model/layout.ts';

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
}

/** Writes config.json and model.safetensors into `folder`. */
export async function writeRandomModel(id: string, folder: string, options: RandomWeightsOptions = {}): Promise<void> {
  const known = knownModel(id);
  if (!known)
    throw new TillerError('model/not-found', { place: id, problem: `known are ${knownModels.map((model) => model.id).join(', ')}` });
  const config = { ...known.config, ...options.config };
  const { spec } = knownShape({ ...known, config });
  const tensors = tensorLayout(spec).map(({ name, shape }) => ({ name, shape, dtype: 'BF16' }));
  const next = xorshift(options.seed ?? 1);
  const table = bellTable(next);
  const one = bf16Bits(1 - spec.normOffset);

  await mkdir(folder, { recursive: true });
  const path = join(folder, 'model.safetensors');
  const file = await open(`${path}.part`, 'w');
  try {
    await file.write(safetensorsHeader(tensors, { format: 'pt' }));
    for (const { name, shape } of tensors) {
      const norm = shape.length === 1 && name.endsWith('norm.weight');
      let left = shape.reduce((product, length) => product * length, 1);
      while (left > 0) {
        const values = new Uint16Array(Math.min(left, CHUNK));
        if (norm) values.fill(one);
        else {
          for (let i = 0; i < values.length; i += 2) {
            const bits = next();
            values[i] = table[bits & 0xffff];
            values[i + 1] = table[bits >>> 16];
          }
        }
        await file.write(new Uint8Array(values.buffer));
        left -= values.length;
      }
    }
  } finally {
    await file.close();
  }
  await writeFile(join(folder, 'config.json'), `${JSON.stringify({ ...config, torch_dtype: 'bfloat16' }, null, 2)}\n`);
  await rename(`${path}.part`, path);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [id, folder, seed] = process.argv.slice(2);
  if (!id || !folder) {
    console.error('usage: npx tsx scripts/random-weights.ts llama-3.2-1b|gemma-3-1b OUT [SEED]');
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
