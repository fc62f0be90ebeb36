import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nodeOnnxRuntime } from '../../../runner/onnx-host.ts';
import { ModelGraph } from './model-proto.ts';
import { ProtoMessage } from './proto.ts';
import { Piece } from './runtime.ts';

/** Reads a varint back: value and the position after it. */
function readVarint(bytes: Uint8Array, at: number): [number, number] {
  let value = 0;
  let factor = 1;
  for (let i = at; ; i++) {
    value += (bytes[i] & 127) * factor;
    if (bytes[i] < 128) return [value, i + 1];
    factor *= 128;
  }
}

describe('protocol buffers', () => {
  it('writes whole numbers that read back', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 20 }), fc.maxSafeNat(), (field, value) => {
        const bytes = new ProtoMessage().int(field, value).finish();
        const [tag, next] = readVarint(bytes, 0);
        const [read, end] = readVarint(bytes, next);
        expect([tag, read, end]).toEqual([field * 8, value, bytes.length]);
      }),
    );
  });

  it('writes nested messages with their lengths', () => {
    const inner = new ProtoMessage().text(1, 'abc').int(2, 300);
    const bytes = new ProtoMessage().message(7, inner).float(3, 1.5).finish();
    expect([...bytes]).toEqual([58, 8, 10, 3, 97, 98, 99, 16, 172, 2, 29, 0, 0, 192, 63]);
  });

  it('writes -1 in ten bytes, as int64 has it', () => {
    const bytes = new ProtoMessage().int(3, -1).finish();
    expect([...bytes]).toEqual([24, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1]);
  });
});

describe('models', () => {
  it('gives a model that ONNX Runtime takes, with constants, lengths known at run time and attributes of every kind', async () => {
    const runtime = await nodeOnnxRuntime();
    const graph = new ModelGraph();
    graph.input('x', ['rows', 2]);
    graph.constant('w', [3, 2], Float32Array.of(1, 0, 0, 1, 1, 1));
    graph.constant('split', [2], BigInt64Array.of(1n, 2n), 'int64');
    graph.node('Gemm', ['x', 'w'], 'y', { transB: 1, alpha: { float: 2 } });
    graph.node('Split', ['y', 'split'], ['a', 'b'], { axis: -1 });
    graph.node('Gelu', ['b'], 'c', { approximate: 'tanh' });
    graph.node('Transpose', ['a'], 'd', { perm: [1, 0] });
    graph.output('c', ['rows', 2]);
    graph.output('d', [1, 'rows']);
    const piece = await Piece.create(runtime, graph.finish(), 1);
    const c = new Float32Array(4);
    const d = new Float32Array(2);
    const { Tensor } = runtime;
    await piece.run(
      { x: new Tensor('float32', Float32Array.of(1, 2, -3, 40), [2, 2]) },
      { c: new Tensor('float32', c, [2, 2]), d: new Tensor('float32', d, [1, 2]) },
    );
    expect([...d]).toEqual([2, -6]);
    expect(c[0]).toBeCloseTo(3.9999, 3);
    expect([c[1], c[2], c[3]].map(Math.round)).toEqual([6, 80, 74]);
    await piece.release();
  });
});
