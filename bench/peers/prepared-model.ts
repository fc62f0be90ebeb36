import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ModelFiles } from '../../src/model/model.ts';
import type { Quantization } from '../../src/model/weights.ts';
import { slug } from '../results.ts';
import { writeBuilderFolder } from './exports/builder-export.ts';
import { writeGguf } from './exports/gguf-export.ts';

/** Bump when the exports change. */
const VERSION = 4;

/** Folder that models for peers are written to, one subfolder each; it may be deleted at any time. */
export const preparedFolder = fileURLToPath(new URL('../../.cache/bench/models/', import.meta.url));

/** One set of weights as every contestant reads it: model.gguf, and a transformers.js folder. Written once. @returns name of the subfolder */
export async function preparedModel(files: ModelFiles, quantization: Quantization, say: (line: string) => void): Promise<string> {
  const { family, sandwichNorm, headNorm, bias } = files.spec;
  if (family !== 'llama' || sandwichNorm || headNorm || bias.qkv || bias.o || bias.mlp)
    throw new Error('only plain Llama models are written for peers');
  const name = `${slug(files.name)}-${quantization}-${VERSION}`;
  const folder = join(preparedFolder, name);
  if (existsSync(folder)) return name;
  say(`writing ${name} for the peers`);
  const unfinished = `${folder}.part`;
  await rm(unfinished, { recursive: true, force: true });
  await mkdir(unfinished, { recursive: true });
  await writeGguf(files, quantization, join(unfinished, 'model.gguf'));
  await writeBuilderFolder(files, quantization, unfinished);
  await rename(unfinished, folder);
  return name;
}
