import { tensorLayout } from '../src/model/layout.ts';
import { keptAs } from '../src/model/memory.ts';
import { dequantizeRows, GROUP, groupsOf, type QuantizedRows } from '../src/model/quantize.ts';
import { rowSource, type RowTensor } from '../src/model/row-tensors.ts';
import type { ModelSpec } from '../src/model/spec.ts';
import type { Quantization, WeightSource } from '../src/model/weights.ts';

/** Groups of the block that all rows are cut from. */
const BLOCK_GROUPS = 2 ** 16;
/** Powers of two, so that q * scale is exact in half precision and packing a row again gives the same integers. */
const scaleBits = { q4: 0x1c00, q8: 0x0c00 } as const;

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

/** Random groups whose first weight has the largest magnitude: -8 of 4 bits, 127 of 8. */
function block(kind: 'q4' | 'q8'): Uint8Array {
  const bytes = kind === 'q4' ? GROUP / 2 : GROUP;
  const next = xorshift(kind === 'q4' ? 11 : 12);
  const out = new Uint8Array(BLOCK_GROUPS * bytes);
  for (let i = 0; i < out.length; i++) out[i] = next() >>> 24;
  for (let group = 0; group < BLOCK_GROUPS; group++) {
    const at = group * bytes;
    if (kind === 'q4') out[at] &= 0xf0;
    else {
      for (let i = 0; i < bytes; i++) if (out[at + i] === 0x80) out[at + i] = 0x81;
      out[at] = 127;
    }
  }
  return out;
}

/**
 * Random weights of any shape that cost next to nothing: already packed, and the same numbers for who reads them as half precision. Each
 * row begins at another place of a block of two million values, by its number and its tensor.
 */
export function randomPackedSource(spec: ModelSpec, quantization: Exclude<Quantization, 'none'>): WeightSource {
  const blocks = { q4: block('q4'), q8: block('q8') };
  const tensors = new Map<string, RowTensor>();
  const packers = new Map<string, { readonly kind: 'q4' | 'q8'; readonly rows: (first: number, count: number) => QuantizedRows }>();
  for (const [index, requirement] of tensorLayout(spec).entries()) {
    const { name, shape } = requirement;
    if (shape.length === 1) {
      const value = name.endsWith('norm.weight') ? 1 - spec.normOffset : 0;
      tensors.set(name, { info: { name, dtype: 'F32', shape }, rows: () => Promise.resolve(new Float32Array(shape[0]).fill(value)) });
      continue;
    }
    const cols = shape[1];
    const groups = groupsOf(cols);
    const kept = keptAs(requirement, 'F16', quantization);
    const kind = kept === 'none' ? 'q8' : kept;
    const groupBytes = kind === 'q4' ? GROUP / 2 : GROUP;
    const rows = (first: number, count: number): QuantizedRows => {
      const data = new Uint8Array(count * groups * groupBytes);
      for (let row = 0; row < count; row++) {
        const from = ((first + row) * 7919 + index * 104729) % (BLOCK_GROUPS - groups);
        data.set(blocks[kind].subarray(from * groupBytes, (from + groups) * groupBytes), row * groups * groupBytes);
      }
      return { data, scales: new Uint16Array(count * groups).fill(scaleBits[kind]) };
    };
    if (kept !== 'none') packers.set(name, { kind, rows });
    tensors.set(name, {
      info: { name, dtype: 'F16', shape },
      rows: (first, count) => Promise.resolve(dequantizeRows(rows(first, count), count, cols, kind)),
    });
  }
  return {
    ...rowSource(tensors, `random packed ${quantization}`, 'random'),
    packed: (name, kind, first, count) => {
      const packer = packers.get(name);
      return Promise.resolve(packer?.kind === kind ? packer.rows(first, count) : null);
    },
  };
}
