import type { WeightSource } from '../../src/model/weights.ts';

/** Reads the beginning and the last value of every tensor. @throws what reading throws where one of them is not in the file */
export async function readEnds(source: WeightSource): Promise<void> {
  for (const [name, { shape, dtype }] of source.tensors) {
    const size = dtype === 'F32' ? 4 : 2;
    const bytes = shape.reduce((product, length) => product * length, size);
    await source.read(name, 0, Math.min(bytes, 128));
    await source.read(name, Math.max(0, bytes - size), bytes);
  }
}
