import { expect, it } from 'vitest';
import { f16ToF32, f32ToF16 } from '../../src/formats/float16.ts';
import { ropeTable } from '../../src/model/rope.ts';
import type { ModelSpec } from '../../src/model/spec.ts';
import { attention } from '../../src/engine/reference/ops/attention.ts';
import { rmsNorm } from '../../src/engine/reference/ops/rmsNorm.ts';
import { rotary } from '../../src/engine/reference/ops/rotary.ts';
import { headQuads, type CacheFormat } from '../../src/engine/webgpu/cache.ts';
import { attentionVariant, ropeVariant } from '../../src/engine/webgpu/forward.ts';
import { testDevices } from '../devices.ts';
import { describeKernels, type KernelBench } from './bench.ts';
import { difference, normals, padded } from './data.ts';

interface Shape {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
}

const slots = 3;
const capacity = 160;
const eps = 1e-6;

/** A row of the batch: where its keys and values go and which position it is. */
interface Place {
  readonly slot: number;
  readonly position: number;
}

const sequence = (slot: number, length: number): Place[] => Array.from({ length }, (_, position) => ({ slot, position }));
const widthOf = ({ heads, kvHeads, headDim }: Shape): number => (heads + 2 * kvHeads) * headDim;

/** Numbers for the qkv rows of these places. */
function inputs(shape: Shape, places: readonly Place[]): Float32Array<ArrayBuffer> {
  const stride = padded(widthOf(shape));
  const out = new Float32Array(places.length * stride);
  places.forEach(({ slot, position }, r) => out.set(normals(1000 * slot + position, widthOf(shape)), r * stride));
  return out;
}

/** Head norms, rotation, cache and attention in plain loops: z [places, heads * headDim], and the rotated rows. */
function reference(
  shape: Shape,
  places: readonly Place[],
  options: { norms: Float32Array | null; window: number | null; format: CacheFormat },
) {
  const { heads, kvHeads, headDim } = shape;
  const stride = padded(widthOf(shape));
  const rows = inputs(shape, places);
  const { cos, sin } = ropeTable({ theta: 10000, scaling: null }, headDim, capacity);
  const kept = (values: Float32Array): Float32Array => (options.format === 'f16' ? f16ToF32(f32ToF16(values)) : values);
  const kvWidth = kvHeads * headDim;
  const keys = Array.from({ length: slots }, () => new Float32Array(capacity * kvWidth));
  const values = Array.from({ length: slots }, () => new Float32Array(capacity * kvWidth));
  const z = new Float32Array(places.length * heads * headDim);
  const scale = headDim ** -0.5;
  places.forEach(({ slot, position }, r) => {
    const row = rows.subarray(r * stride, r * stride + widthOf(shape));
    if (options.norms) {
      const q = row.subarray(0, heads * headDim);
      const k = row.subarray(heads * headDim, (heads + kvHeads) * headDim);
      rmsNorm(q, options.norms.subarray(0, headDim), eps, 1, heads, headDim, q);
      rmsNorm(k, options.norms.subarray(headDim), eps, 1, kvHeads, headDim, k);
    }
    rotary(row, 0, heads + kvHeads, headDim, cos, sin, position);
    keys[slot].set(kept(row.slice(heads * headDim, (heads + kvHeads) * headDim)), position * kvWidth);
    values[slot].set(kept(row.slice((heads + kvHeads) * headDim)), position * kvWidth);
    attention(row, 0, keys[slot], values[slot], position, { ...shape, scale, window: options.window }, z, r * heads * headDim);
  });
  return { z, rows, keys, values };
}

/** (first row, rows) of runs of one slot, at most `most` rows each. */
function spansOf(places: readonly Place[], most: number): number[][] {
  const spans: number[][] = [];
  places.forEach(({ slot }, r) => {
    const last = spans.at(-1);
    if (last && last[1] < most && places[last[0]].slot === slot) last[1]++;
    else spans.push([r, 1]);
  });
  return spans;
}

async function run(
  bench: KernelBench,
  shape: Shape,
  places: readonly Place[],
  options: { norms: Float32Array | null; window: number | null; format: CacheFormat; spanRows: 1 | 4; apart?: boolean; calls?: number },
) {
  const spec = shape as ModelSpec;
  const { heads, kvHeads, headDim } = shape;
  const quads = headQuads(spec);
  const stride = padded(widthOf(shape));
  const zStride = padded(heads * headDim);
  const { cos, sin } = ropeTable({ theta: 10000, scaling: null }, headDim, capacity);
  const table = Float32Array.from({ length: cos.length * 2 }, (_, i) => (i % 2 === 0 ? cos : sin)[i >> 1]);
  const cacheBytes = slots * capacity * kvHeads * quads * (options.format === 'f16' ? 8 : 16);
  // What a slot held before must not matter: finite numbers, and large ones.
  const junk = new Float32Array(cacheBytes / 4).fill(12345);
  const keys = bench.storage(junk);
  const values = bench.storage(junk);
  const norms = bench.storage(options.norms ? new Float32Array(options.norms) : new Float32Array(2 * headDim));
  const rope = bench.storage(table);

  const uniform = (words: readonly number[], floats: Readonly<Record<number, number>>): GPUBuffer => {
    const bytes = new ArrayBuffer(words.length * 4);
    new Uint32Array(bytes).set(words);
    for (const [at, value] of Object.entries(floats)) new Float32Array(bytes)[Number(at)] = value;
    return bench.uniform(bytes);
  };
  const ropeParams = uniform([heads, kvHeads, stride, capacity, 0, 0, 0, 0], { 4: eps, 5: 1 });
  const attentionParams = uniform([heads, kvHeads, stride, zStride, capacity, options.window ?? 0, 0, quads], { 6: headDim ** -0.5 });

  const z: number[] = [];
  const rotated: number[] = [];
  // Consecutive calls over the same cache, as in decoding.
  const calls = options.calls ?? 1;
  for (let call = 0; call < calls; call++) {
    const here = places.slice((call * places.length) / calls, ((call + 1) * places.length) / calls);
    const spans = spansOf(here, options.spanRows);
    const qkv = bench.storage(inputs(shape, here));
    const rows = bench.storage(new Uint32Array(here.flatMap(({ slot, position }) => [0, slot, position, 0])));
    const out = bench.storage(new Float32Array(here.length * zStride).fill(-7));
    const head = (headNorm: boolean, rotate: boolean) => ({
      variant: ropeVariant(spec, options.format, headNorm, rotate),
      bindings: [null, ...[ropeParams, qkv, rows, rope, norms, keys, values].map((buffer) => ({ buffer }))],
      workgroups: [heads + 2 * kvHeads, here.length, 1] as const,
      cost: 0,
    });
    const normed = options.norms !== null;
    await bench.run([
      ...(options.apart ? [head(normed, false), head(false, true)] : [head(normed, true)]),
      {
        variant: attentionVariant(spec, options.format, options.spanRows, bench.software),
        bindings: [
          null,
          ...[attentionParams, qkv, rows, bench.storage(new Uint32Array(spans.flat())), keys, values, out].map((buffer) => ({ buffer })),
        ],
        workgroups: [heads, spans.length, 1],
        cost: 0,
      },
    ]);
    const got = await bench.readF32(out);
    const gotRows = await bench.readF32(qkv);
    here.forEach((_, r) => {
      z.push(...got.slice(r * zStride, r * zStride + heads * headDim));
      expect(got.slice(r * zStride + heads * headDim, (r + 1) * zStride).every((value) => value === -7)).toBe(true);
      rotated.push(...gotRows.slice(r * stride, r * stride + heads * headDim));
    });
  }
  return { z, rotated, keys: await bench.read(keys), values: await bench.read(values) };
}

/** Keys or values of a slot as [positions, kvHeads, headDim], and what pads the heads. */
function cacheOf(bytes: ArrayBuffer, shape: Shape, format: CacheFormat, slot: number): { heads: Float32Array; padding: Float32Array } {
  const all = format === 'f16' ? f16ToF32(new Uint16Array(bytes)) : new Float32Array(bytes);
  const wide = Math.ceil(shape.headDim / 4) * 4;
  const from = slot * capacity * shape.kvHeads * wide;
  const part = all.slice(from, from + capacity * shape.kvHeads * wide);
  return {
    heads: part.filter((_, i) => i % wide < shape.headDim),
    padding: part.filter((_, i) => i % wide >= shape.headDim),
  };
}

describeKernels('rotary embedding and attention', await testDevices(), (bench) => {
  const shapes: readonly Shape[] = [
    { heads: 6, kvHeads: 6, headDim: 48 },
    { heads: 4, kvHeads: 2, headDim: 22 },
    { heads: 8, kvHeads: 2, headDim: 64 },
    { heads: 4, kvHeads: 1, headDim: 256 },
  ];

  it.each(shapes)('agree with plain loops: $heads query heads, $kvHeads key heads, head_dim $headDim', async (shape) => {
    // Two sequences of unequal length in one call, one of them over several tiles of 64 positions.
    const places = [...sequence(1, 150), ...sequence(2, 5)];
    for (const window of [null, 7, 64]) {
      const expected = reference(shape, places, { norms: null, window, format: 'f32' });
      const got = await run(bench(), shape, places, { norms: null, window, format: 'f32', spanRows: 4 });
      expect(difference(got.z, expected.z), `window ${window}`).toBeLessThan(1e-5);
    }
  });

  it.each(shapes)('append what attention reads, and nothing else, head_dim $headDim', async (shape) => {
    const places = [...sequence(0, 3), ...sequence(2, 66)];
    const expected = reference(shape, places, { norms: null, window: null, format: 'f32' });
    const got = await run(bench(), shape, places, { norms: null, window: null, format: 'f32', spanRows: 4 });
    const stride = padded(widthOf(shape));
    const queries = places.flatMap((_, r) => [...expected.rows.slice(r * stride, r * stride + shape.heads * shape.headDim)]);
    expect(difference(got.rotated, queries)).toBeLessThan(2e-6);
    const width = shape.kvHeads * shape.headDim;
    for (const [slot, length] of [
      [0, 3],
      [1, 0],
      [2, 66],
    ]) {
      const keys = cacheOf(got.keys, shape, 'f32', slot);
      const values = cacheOf(got.values, shape, 'f32', slot);
      expect(difference(keys.heads.slice(0, length * width), expected.keys[slot].slice(0, length * width))).toBeLessThan(2e-6);
      expect(values.heads.slice(0, length * width)).toEqual(expected.values[slot].slice(0, length * width));
      for (const { heads, padding } of [keys, values]) {
        expect(heads.slice(length * width).every((value) => value === 12345)).toBe(true);
        const pads = padding.length / capacity;
        expect(padding.slice(0, length * pads).every((value) => value === 0)).toBe(true);
      }
    }
  });

  it('keep f16 keys and values to their precision', async () => {
    for (const shape of [shapes[1], shapes[2]]) {
      const places = sequence(1, 70);
      const expected = reference(shape, places, { norms: null, window: null, format: 'f16' });
      const got = await run(bench(), shape, places, { norms: null, window: null, format: 'f16', spanRows: 4 });
      expect(difference(got.z, expected.z)).toBeLessThan(1e-3);
    }
  });

  it('norm the heads of q and k, in one step or apart', async () => {
    for (const shape of [shapes[1], shapes[3]]) {
      const norms = normals(5, 2 * shape.headDim, 0.5);
      const places = sequence(0, 9);
      const expected = reference(shape, places, { norms, window: 4, format: 'f32' });
      for (const apart of [false, true]) {
        const got = await run(bench(), shape, places, { norms, window: 4, format: 'f32', spanRows: 4, apart });
        expect(difference(got.z, expected.z), `apart ${apart}`).toBeLessThan(2e-5);
      }
    }
  });

  it('give one token at a time what the whole sequence gives', async () => {
    for (const window of [null, 1, 5, 64]) {
      const shape = shapes[2];
      const places = sequence(1, 70);
      const expected = reference(shape, places, { norms: null, window, format: 'f32' });
      const got = await run(bench(), shape, places, { norms: null, window, format: 'f32', spanRows: 1, calls: 70 });
      expect(difference(got.z, expected.z), `window ${window}`).toBeLessThan(1e-5);
    }
  });
});
