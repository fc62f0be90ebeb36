import { expect, it } from 'vitest';
import { bf16Bits, bf16ToF32, f16ToF32, f32ToF16 } from '../../src/formats/float16.ts';
import { dequantizeRows, quantizeRows } from '../../src/model/quantize.ts';
import type { TensorDtype, TensorInfo, WeightSource } from '../../src/model/weights.ts';
import { geluTanh, silu } from '../../src/engine/reference/ops/activation.ts';
import { matmul } from '../../src/engine/reference/ops/matmul.ts';
import { Matmul, MATVEC_ROWS, type Arithmetic, type MatvecForm } from '../../src/engine/webgpu/matmul.ts';
import { embedVariant } from '../../src/engine/webgpu/forward.ts';
import { Memory } from '../../src/engine/webgpu/memory.ts';
import { Params } from '../../src/engine/webgpu/params.ts';
import { WeightUploader, type Matrix, type WeightFormat } from '../../src/engine/webgpu/weights.ts';
import { testDevices } from '../devices.ts';
import { describeKernels, type KernelBench } from './bench.ts';
import { difference, normals, padded, strided } from './data.ts';

const formats: readonly WeightFormat[] = ['f32', 'f16', 'bf16', 'q8', 'q4'];
/** Junk in rows and columns that no kernel may read into a result or write over. */
const untouched = -12345;

interface Tensor {
  readonly info: TensorInfo;
  readonly bytes: Uint8Array;
}

const bf16 = (values: Float32Array): Uint16Array => Uint16Array.from(values, bf16Bits);
const bytesOf = (values: Float32Array | Uint16Array): Uint8Array => new Uint8Array(values.buffer, values.byteOffset, values.byteLength);

/** A tensor as a file has it, for the dtype that the format is made from. */
function tensor(name: string, format: WeightFormat, values: Float32Array, shape: readonly number[]): Tensor {
  const dtypes: Readonly<Record<WeightFormat, TensorDtype>> = { f32: 'F32', f16: 'F16', bf16: 'BF16', q8: 'F32', q4: 'F32' };
  const dtype = dtypes[format];
  const data = dtype === 'F16' ? f32ToF16(values) : dtype === 'BF16' ? bf16(values) : values;
  return { info: { name, dtype, shape }, bytes: bytesOf(data) };
}

/** The weights that the device computes with, in f32. */
function kept(format: WeightFormat, values: Float32Array, n: number, k: number): Float32Array {
  if (format === 'f16') return f16ToF32(f32ToF16(values));
  if (format === 'bf16') return bf16ToF32(bf16(values));
  if (format === 'q8' || format === 'q4') return dequantizeRows(quantizeRows(values, n, k, format), n, k, format);
  return values;
}

function sourceOf(tensors: readonly Tensor[]): WeightSource {
  const byName = new Map(tensors.map((one) => [one.info.name, one]));
  return {
    tensors: new Map(tensors.map(({ info }) => [info.name, info])),
    identity: 'test',
    read: async (name, start, end) => byName.get(name)!.bytes.slice(start, end),
  };
}

async function upload(
  memory: Memory,
  format: WeightFormat,
  weights: readonly Float32Array[],
  rows: number,
  k: number,
  options: { interleave?: boolean; bias?: Float32Array; maxPartCost?: number } = {},
): Promise<Matrix> {
  const tensors = weights.map((values, i) => tensor(`w${i}`, format, values, [rows, k]));
  const n = rows * weights.length;
  const bias = memory.storage('bias', n * 4);
  if (options.bias) memory.device.queue.writeBuffer(bias, 0, options.bias as Float32Array<ArrayBuffer>);
  const uploader = new WeightUploader(memory, sourceOf(tensors), () => undefined, undefined);
  return uploader.matrix({
    label: 'w',
    tensors: tensors.map(({ info }) => info),
    interleave: options.interleave,
    format,
    bias,
    maxPartCost: options.maxPartCost ?? Infinity,
  });
}

interface Product {
  readonly form: MatvecForm;
  readonly rows: number;
  readonly arithmetic: Arithmetic;
  readonly activation?: 'silu' | 'gelu_tanh';
  /** @default true */
  readonly tiled?: boolean;
  readonly budget?: number;
}

/** x . w^T + bias on the device: `rows` rows of `width` outputs, and what lies after them. */
async function product(bench: KernelBench, memory: Memory, matrix: Matrix, x: readonly Float32Array[], width: number, what: Product) {
  const stride = padded(width);
  const room = Math.max(what.rows, MATVEC_ROWS) + 1;
  const buffers = {
    call: bench.uniform(new Uint32Array([what.rows, 0, 0, 0])),
    // Rows beyond those of the call hold numbers too: they are what earlier calls left.
    x: bench.storage(strided([...x, ...Array.from({ length: room - x.length }, () => normals(99, matrix.k))], padded(matrix.k))),
    out: bench.storage(new Float32Array(room * stride).fill(untouched)),
    outStride: stride,
  };
  const products = new Matmul(
    new Params(memory),
    { few: what.form, many: what.form, tiled: what.tiled ?? true },
    bench.software,
    what.budget,
  );
  await bench.run(products.dispatches(matrix, what.rows, buffers, what.arithmetic, what.activation ?? null));
  const all = await bench.readF32(buffers.out);
  const rows = Array.from({ length: what.rows }, (_, r) => all.slice(r * stride, r * stride + width));
  for (let r = 0; r < what.rows; r++)
    expect(all.slice(r * stride + width, (r + 1) * stride).every((value) => value === untouched)).toBe(true);
  expect(all.slice(what.rows * stride).every((value) => value === untouched)).toBe(true);
  return rows;
}

const flat = (rows: readonly Float32Array[]): Float32Array => Float32Array.from(rows.flatMap((row) => [...row]));

function reference(x: readonly Float32Array[], weights: Float32Array, bias: Float32Array | null, k: number, n: number): Float32Array {
  const out = new Float32Array(x.length * n);
  matmul(flat(x), x.length, weights, bias, k, n, out);
  return out;
}

describeKernels('matrix products', await testDevices(), (bench) => {
  const forms = (): MatvecForm[] => (bench().has('subgroups') ? ['rows', 'subgroup', 'tree'] : ['rows', 'tree']);
  /** Numbers of rows that have a matrix-vector kernel: on software adapters, which compile them slowly, the smaller ones. */
  const few = (all: readonly number[]): readonly number[] => (bench().software ? all.filter((rows) => rows <= 4) : all);
  /** f16 products exist for the formats that f16 holds exactly. */
  const arithmetics = (format: WeightFormat): Arithmetic[] =>
    bench().has('shader-f16') && format !== 'f32' && format !== 'bf16' ? ['f32', 'f16'] : ['f32'];
  /** Sums of k products of order one: f32 sums are good to about 1e-6 of sqrt(k), f16 products to 1e-3. */
  const allowed = (arithmetic: Arithmetic, k: number): number => (arithmetic === 'f16' ? 4e-3 : 3e-6) * Math.sqrt(k);

  const shapes = [
    [67, 22],
    [130, 96],
    [517, 288],
    [33, 1152],
  ] as const;

  const check = async (format: WeightFormat, whats: readonly Product[]): Promise<void> => {
    const memory = new Memory(bench().device);
    for (const [n, k] of shapes) {
      const values = normals(1, n * k);
      const bias = normals(2, n);
      const matrix = await upload(memory, format, [values], n, k, { bias });
      const weights = kept(format, values, n, k);
      for (const what of whats) {
        const x = Array.from({ length: what.rows }, (_, r) => normals(10 + r, k));
        const got = flat(await product(bench(), memory, matrix, x, n, what));
        const worst = difference(got, reference(x, weights, bias, k, n));
        expect(worst, `${what.form} ${what.arithmetic} ${what.rows} x ${n} x ${k}`).toBeLessThan(allowed(what.arithmetic, k));
      }
    }
    memory.freeAll();
  };

  it('of any few rows agree with plain loops in every form', async () => {
    await check(
      'f32',
      forms().flatMap((form) => few([2, 3, 5, 8]).map((rows) => ({ form, rows, arithmetic: 'f32' as const }))),
    );
  });

  // How weights are read does not depend on the form, and kernels take their time to compile: one format goes through all forms.
  it.each(formats)('of one row agree with plain loops in every format: %s', async (format) => {
    const some = format === 'q4' || format === 'f32' ? forms() : forms().slice(0, 1);
    await check(format, [
      ...some.map((form) => ({ form, rows: 1, arithmetic: 'f32' as const })),
      ...(arithmetics(format).includes('f16') ? [{ form: forms()[1], rows: 1, arithmetic: 'f16' as const }] : []),
    ]);
  });

  it.each(formats)('of many rows agree with plain loops: %s', async (format) => {
    // More than 16 rows may have a tile of their own; 5 are few on GPUs and many on software adapters.
    const numbers = format === 'f32' ? [5, 16, 70] : format === 'q4' ? [9, 17] : [13];
    await check(
      format,
      arithmetics(format).flatMap((arithmetic) => numbers.map((rows) => ({ form: 'rows' as const, rows, arithmetic }))),
    );
  });

  it('of many rows agree with plain loops in blocks of few', async () => {
    await check(
      'q4',
      forms().flatMap((form) =>
        (form === 'rows' ? [6, 21] : [9]).map((rows) => ({ form, rows, arithmetic: 'f32' as const, tiled: false })),
      ),
    );
  });

  it('cut to keep within a budget give the same bits', async () => {
    const memory = new Memory(bench().device);
    const [n, k] = [517, 96];
    for (const format of ['f32', 'q4', 'q8'] as const) {
      const matrix = await upload(memory, format, [normals(1, n * k)], n, k, { bias: normals(2, n) });
      for (const rows of [1, 13]) {
        const x = Array.from({ length: rows }, (_, r) => normals(30 + r, k));
        const what = { form: 'rows', rows, arithmetic: 'f32' } as const;
        const whole = flat(await product(bench(), memory, matrix, x, n, what));
        expect(flat(await product(bench(), memory, matrix, x, n, { ...what, budget: rows * k * 130 }))).toEqual(whole);
      }
    }
    memory.freeAll();
  });

  it('make gate and up in turn and multiply them', async () => {
    const memory = new Memory(bench().device);
    for (const [format, activation, numbers] of [
      ['f32', 'silu', [1, 3, 8]],
      ['q4', 'gelu_tanh', [1]],
    ] as const) {
      for (const [intermediate, k] of [
        [43, 64],
        [176, 22],
      ] as const) {
        const gate = normals(5, intermediate * k);
        const up = normals(6, intermediate * k);
        const bias = normals(7, 2 * intermediate);
        const matrix = await upload(memory, format, [gate, up], intermediate, k, { interleave: true, bias });
        for (const form of format === 'f32' ? forms() : forms().slice(0, 1)) {
          for (const rows of few(numbers)) {
            const x = Array.from({ length: rows }, (_, r) => normals(50 + r, k, 0.5));
            const even = bias.filter((_, i) => i % 2 === 0);
            const odd = bias.filter((_, i) => i % 2 === 1);
            const gates = reference(x, kept(format, gate, intermediate, k), even, k, intermediate);
            const ups = reference(x, kept(format, up, intermediate, k), odd, k, intermediate);
            const expected = gates.map((value, i) => (activation === 'silu' ? silu(value) : geluTanh(value)) * ups[i]);
            const got = flat(await product(bench(), memory, matrix, x, intermediate, { form, rows, arithmetic: 'f32', activation }));
            expect(difference(got, expected), `${form} ${activation} ${rows}`).toBeLessThan(3e-5);
          }
        }
      }
    }
    memory.freeAll();
  });

  it('of a matrix in several parts are those of the whole', async () => {
    const memory = new Memory(bench().device);
    const [n, k] = [517, 96];
    const values = normals(8, n * k);
    const bias = normals(9, n);
    const whole = await upload(memory, 'q4', [values], n, k, { bias });
    const split = await upload(memory, 'q4', [values], n, k, { bias, maxPartCost: 128 * k });
    expect(split.parts.map(({ first, count }) => [first, count])).toEqual([
      [0, 128],
      [128, 128],
      [256, 128],
      [384, 128],
      [512, 5],
    ]);
    for (const rows of [1, 20]) {
      const x = Array.from({ length: rows }, (_, r) => normals(70 + r, k));
      for (const form of forms()) {
        const what = { form, rows, arithmetic: 'f32' } as const;
        const expected = await product(bench(), memory, whole, x, n, what);
        expect(flat(await product(bench(), memory, split, x, n, what))).toEqual(flat(expected));
      }
    }
    memory.freeAll();
  });

  it('give a row the same bits whatever rows are beside it', async () => {
    const memory = new Memory(bench().device);
    const [n, k] = [130, 288];
    const matrix = await upload(memory, 'f32', [normals(11, n * k)], n, k);
    const x = Array.from({ length: 8 }, (_, r) => normals(90 + r, k));
    for (const form of forms()) {
      const alone = await product(bench(), memory, matrix, x.slice(0, 1), n, { form, rows: 1, arithmetic: 'f32' });
      for (const rows of few([2, 4, 8])) {
        const among = await product(bench(), memory, matrix, x.slice(0, rows), n, { form, rows, arithmetic: 'f32' });
        expect(among[0], `${form} with ${rows}`).toEqual(alone[0]);
      }
    }
    memory.freeAll();
  });
});

describeKernels('embedding', await testDevices(), (bench) => {
  it.each(formats)('takes the rows of the tokens, scaled, from every part: %s', async (format) => {
    const memory = new Memory(bench().device);
    const [vocab, hidden, scale] = [517, 22, 4.6904];
    const values = normals(12, vocab * hidden);
    const table = kept(format, values, vocab, hidden);
    const matrix = await upload(memory, format, [values], vocab, hidden, { maxPartCost: 128 * hidden });
    expect(matrix.parts.length).toBeGreaterThan(1);
    const tokens = [0, 516, 127, 128, 511, 512, 3, 3, 300];
    const rows = bench().storage(new Uint32Array(tokens.flatMap((token, r) => [token, 0, r, 0])));
    const h = bench().storage(new Float32Array((tokens.length + 1) * padded(hidden)).fill(untouched));
    const call = bench().uniform(new Uint32Array([tokens.length, 0, 0, 0]));
    const params = new Params(memory);
    await bench().run(
      matrix.parts.map((part) => ({
        variant: embedVariant(format),
        bindings: [
          { buffer: call },
          params.get([matrix.octets, part.first, part.count, { f32: scale }]),
          { buffer: rows },
          { buffer: part.weights },
          part.scales ? { buffer: part.scales } : null,
          { buffer: h },
        ],
        workgroups: [Math.ceil(matrix.octets / 64), tokens.length, 1] as const,
        cost: 0,
      })),
    );
    const got = await bench().readF32(h);
    tokens.forEach((token, r) => {
      const row = got.slice(r * padded(hidden), (r + 1) * padded(hidden));
      const expected = table.slice(token * hidden, (token + 1) * hidden).map((value) => value * scale);
      expect(difference(row.slice(0, hidden), expected)).toBeLessThan(1e-6);
      expect(row.slice(hidden).every((value) => value === 0)).toBe(true);
    });
    expect(got.slice(tokens.length * padded(hidden)).every((value) => value === untouched)).toBe(true);
    memory.freeAll();
  });
});
