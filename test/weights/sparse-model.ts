import { mkdir, open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { safetensorsHeader } from '../../src/formats/safetensors.ts';
import { parseConfig } from '../../src/model/config.ts';
import { tensorLayout } from '../../src/model/layout.ts';

export interface SparseModelOptions {
  readonly config: Readonly<Record<string, unknown>>;
  /** Bytes of data in one shard, at most, where a single tensor does not take more. */
  readonly shardBytes: number;
  /** Put before every name, as multimodal checkpoints do. @default '' */
  readonly prefix?: string;
  /** What the checkpoint calls a tensor. @default the prefix and its name */
  readonly rename?: (name: string) => string;
  /** Tensors that no text model has, by name. */
  readonly extra?: Readonly<Record<string, readonly number[]>>;
  /** Real bytes at an offset of a tensor; all else is zero and takes no room on the disk. */
  readonly written?: readonly { readonly tensor: string; readonly offset: number; readonly bytes: Uint8Array }[];
}

/** A sharded bfloat16 checkpoint of any size whose files are holes: as large as it says to whoever reads it, and nearly free. */
export async function writeSparseModel(folder: string, options: SparseModelOptions): Promise<{ readonly shards: readonly string[] }> {
  const { config, shardBytes, prefix = '', extra = {}, written = [] } = options;
  const named = options.rename ?? ((name: string): string => prefix + name);
  const tensors = [
    ...tensorLayout(parseConfig(config)).map(({ name, shape }) => ({ name: named(name), shape, dtype: 'BF16' })),
    ...Object.entries(extra).map(([name, shape]) => ({ name, shape, dtype: 'BF16' })),
  ];
  const shards: (typeof tensors)[] = [[]];
  let bytes = 0;
  const sizeOf = ({ shape }: { readonly shape: readonly number[] }): number => shape.reduce((product, length) => product * length, 2);
  for (const tensor of tensors) {
    if (bytes > 0 && bytes + sizeOf(tensor) > shardBytes) {
      shards.push([]);
      bytes = 0;
    }
    shards[shards.length - 1].push(tensor);
    bytes += sizeOf(tensor);
  }
  await mkdir(folder, { recursive: true });
  const names = shards.map((_, i) => `model-${String(i + 1).padStart(5, '0')}-of-${String(shards.length).padStart(5, '0')}.safetensors`);
  const weightMap: Record<string, string> = {};
  for (const [index, shard] of shards.entries()) {
    const header = safetensorsHeader(shard, { format: 'pt' });
    const file = await open(join(folder, names[index]), 'w');
    try {
      await file.write(header);
      let at = header.length;
      for (const tensor of shard) {
        weightMap[tensor.name] = names[index];
        for (const piece of written) if (named(piece.tensor) === tensor.name) await file.write(piece.bytes, 0, null, at + piece.offset);
        at += sizeOf(tensor);
      }
      await file.truncate(at);
    } finally {
      await file.close();
    }
  }
  await writeFile(join(folder, 'model.safetensors.index.json'), JSON.stringify({ metadata: {}, weight_map: weightMap }));
  await writeFile(join(folder, 'config.json'), JSON.stringify(config));
  return { shards: names };
}
