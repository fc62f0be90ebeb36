import { expect, it } from 'vitest';
import { geluTanh, silu } from '../../src/engine/reference/ops/activation.ts';
import { rmsNorm } from '../../src/engine/reference/ops/rmsNorm.ts';
import { gatedVariant, residVariant } from '../../src/engine/webgpu/forward.ts';
import type { ModelSpec } from '../../src/model/spec.ts';
import { testDevices } from '../devices.ts';
import { describeKernels } from './bench.ts';
import { difference, normals, padded, strided } from './data.ts';

const flat = (rows: readonly Float32Array[]): Float32Array => Float32Array.from(rows.flatMap((row) => [...row]));

describeKernels('residual stream and norms', await testDevices(), (bench) => {
  const cases = [22, 64, 288, 1152, 2049].flatMap((width) => [0, 1].map((offset) => [width, offset] as const));

  it.each(cases)('agree with plain loops, width %i, offset %i', async (width, offset) => {
    const [rows, eps] = [5, 1e-5];
    const stride = padded(width);
    // Row 0 is Gemma's trouble: a stream far beyond what f16 holds.
    const h = Array.from({ length: rows }, (_, r) => normals(r, width, r === 0 ? 3e4 : 2));
    const a = Array.from({ length: rows }, (_, r) => normals(20 + r, width, r === 1 ? 1e-4 : 3));
    const post = normals(40, width);
    const weight = normals(41, width);
    for (const [add, withPost, norm] of [
      [false, false, true],
      [true, false, false],
      [true, false, true],
      [true, true, false],
      [true, true, true],
    ] as const) {
      const params = new ArrayBuffer(16);
      new Uint32Array(params, 0, 2).set([width, stride]);
      new Float32Array(params, 8, 2).set([eps, offset]);
      const buffers = {
        params: bench().uniform(params),
        h: bench().storage(strided(h, stride)),
        a: bench().storage(strided(a, stride)),
        post: bench().storage(post),
        weight: bench().storage(weight),
        x: bench().storage(new Float32Array(rows * stride)),
      };
      await bench().run([
        {
          variant: residVariant(add, withPost, norm),
          bindings: [null, ...Object.values(buffers).map((buffer) => ({ buffer }))],
          workgroups: [rows, 1, 1],
          cost: 0,
        },
      ]);
      const expectedH = flat(h);
      if (add) {
        const block = flat(a);
        if (withPost) rmsNorm(block, post, eps, offset, rows, width, block);
        block.forEach((value, i) => (expectedH[i] += value));
      }
      const gotH = await bench().readF32(buffers.h);
      const gotX = await bench().readF32(buffers.x);
      const expectedX = new Float32Array(rows * width);
      if (norm) rmsNorm(expectedH, weight, eps, offset, rows, width, expectedX);
      for (let r = 0; r < rows; r++) {
        const label = `row ${r}, add ${add}, post ${withPost}, norm ${norm}`;
        const slice = (all: Float32Array): Float32Array => all.slice(r * stride, r * stride + width);
        expect(difference(slice(gotH), expectedH.slice(r * width, (r + 1) * width)), label).toBeLessThan(2e-6);
        expect(difference(slice(gotX), expectedX.slice(r * width, (r + 1) * width)), label).toBeLessThan(4e-6);
        for (const all of [gotH, gotX]) expect(all.slice(r * stride + width, (r + 1) * stride).every((value) => value === 0)).toBe(true);
      }
    }
  });
});

describeKernels('gated activation', await testDevices(), (bench) => {
  it.each(['silu', 'gelu_tanh'] as const)('agrees with plain loops at every point, large arguments included: %s', async (activation) => {
    const [width, rows] = [67, 3];
    const stride = padded(width);
    const act = activation === 'silu' ? silu : geluTanh;
    const gateUp = normals(1, rows * 2 * width, 4);
    gateUp.set([-3e4, 1, 3e4, 1, -90, 2, 90, 2, 0, 5, -0.001, 3, 12, 1, -12, 1]);
    const source = normals(2, rows * stride);
    const spec = { activation } as ModelSpec;
    for (const [withAct, mul] of [
      [true, false],
      [false, true],
      [true, true],
    ] as const) {
      const out = bench().storage(new Float32Array((rows + 1) * stride).fill(-7));
      await bench().run([
        {
          variant: gatedVariant(spec, withAct, mul),
          bindings: [
            { buffer: bench().uniform(new Uint32Array([rows, 0, 0, 0])) },
            { buffer: bench().uniform(new Uint32Array([width, stride, 0, 0])) },
            { buffer: bench().storage(gateUp) },
            { buffer: bench().storage(source) },
            { buffer: out },
          ],
          workgroups: [Math.ceil(width / 64), rows, 1],
          cost: 0,
        },
      ]);
      const got = await bench().readF32(out);
      for (let r = 0; r < rows; r++) {
        const expected = Array.from({ length: width }, (_, i) => {
          const at = (r * width + i) * 2;
          const first = withAct ? act(gateUp[at]) : source[r * stride + i];
          return mul ? first * gateUp[at + 1] : first;
        });
        expect(difference(got.slice(r * stride, r * stride + width), expected), `act ${withAct}, mul ${mul}`).toBeLessThan(1e-5);
        expect(got.slice(r * stride + width, (r + 1) * stride).every((value) => value === -7)).toBe(true);
      }
      expect(got.slice(rows * stride).every((value) => value === -7)).toBe(true);
    }
  });
});
