import { expect, it, describe } from 'vitest';
import { nodeOnnxRuntime } from '../../../../runner/onnx-host.ts';
import { loadGoldenModel } from '../../../../test/conformance/golden.ts';
import { nodeKernels } from '../../../../test/kernel-threads.ts';
import { quantizeRows } from '../../../model/quantize.ts';
import type { Matrix } from '../matrix.ts';
import type { PieceModel } from '../model-proto.ts';
import { blockOutputPiece, gateUpPiece, headPiece, qkvPiece, type PieceContext } from '../pieces.ts';
import { SessionPiece, type Arrays, type Runnable } from '../runnable.ts';
import { Piece } from '../runtime.ts';
import { kernelBlockOutput, kernelContext, kernelGateUp, kernelHead, kernelQkv } from './kernel-pieces.ts';
import { Products } from './products.ts';

/**
 * Piece by piece, our kernels beside ONNX Runtime's with the same weights and the same rounding of activations: over a whole model a last bit
 * may round an activation to the other side, and nothing could be said.
 */
const runtime = await nodeOnnxRuntime();
const numbers = (length: number, factor: number): Float32Array => Float32Array.from({ length }, (_, i) => Math.sin(1 + i * factor));

describe.each(['llama_gqa_tied', 'gemma3', 'qwen2', 'llama_odd_sizes'])('pieces on our own kernels: %s', (name) => {
  const { spec } = loadGoldenModel(name);
  const { hidden, intermediate, heads, kvHeads, headDim, vocab } = spec;
  const context: PieceContext = { spec, level: 4 };

  describe.each(['q4', 'q8'] as const)('%s', (kind) => {
    const matrix = (outputs: number, inputs: number, biased: boolean): Matrix => ({
      outputs,
      inputs,
      weights: { kind, quantized: quantizeRows(numbers(outputs * inputs, 0.317), outputs, inputs, kind) },
      bias: biased ? numbers(outputs, 0.5) : null,
    });

    async function equal(
      own: (made: ReturnType<typeof kernelContext>) => Runnable,
      model: PieceModel,
      inputs: Arrays,
      widths: Readonly<Record<string, number>>,
    ): Promise<void> {
      const products = new Products(nodeKernels(1), {
        inputs: Math.max(hidden, heads * headDim, intermediate),
        outputs: Math.max(vocab, 2 * intermediate, (heads + 2 * kvHeads) * headDim, hidden) + 24,
      });
      const piece = own(kernelContext(spec, products));
      await products.ready(() => 0);
      const session = new SessionPiece(runtime, await Piece.create(runtime, model, 1), 1);
      for (const rows of [1, 6]) {
        const given = Object.fromEntries(Object.entries(inputs).map(([key, values]) => [key, values.slice(0, (values.length / 6) * rows)]));
        const outputs = (): Record<string, Float32Array> =>
          Object.fromEntries(Object.entries(widths).map(([key, width]) => [key, new Float32Array(rows * width)]));
        const [got, wanted] = [outputs(), outputs()];
        await piece.run(rows, given, got);
        await session.run(rows, given, wanted);
        for (const key of Object.keys(widths)) {
          const size = Math.max(...wanted[key].map(Math.abs));
          wanted[key].forEach((value, i) => expect(Math.abs(got[key][i] - value), `${key} ${i}`).toBeLessThan(2e-5 * size));
        }
      }
      await session.release();
      products.release();
    }

    const { bias, headNorm, sandwichNorm } = spec;
    const x = numbers(6 * hidden, 0.71);
    const norm = numbers(hidden, 0.9);

    it('q, k, v', async () => {
      const weights = {
        norm,
        q: matrix(heads * headDim, hidden, bias.qkv),
        k: matrix(kvHeads * headDim, hidden, bias.qkv),
        v: matrix(kvHeads * headDim, hidden, bias.qkv),
        qNorm: headNorm ? numbers(headDim, 0.4) : null,
        kNorm: headNorm ? numbers(headDim, 0.6) : null,
      };
      const widths = { q: heads * headDim, k: kvHeads * headDim, v: kvHeads * headDim };
      await equal((own) => kernelQkv(own, weights), qkvPiece(context, weights), { x }, widths);
    });

    it('the residual stream after a block, and the block by itself', async () => {
      const weights = { matrix: matrix(hidden, heads * headDim, bias.o), postNorm: sandwichNorm ? numbers(hidden, 0.8) : null };
      const inner = numbers(6 * heads * headDim, 0.43);
      const inputs = { inner, x };
      await equal((own) => kernelBlockOutput(own, weights), blockOutputPiece(context, weights), inputs, { y: hidden });
      await equal((own) => kernelBlockOutput(own, weights), blockOutputPiece(context, weights), inputs, { out: hidden });
    });

    it('gate and up, apart and multiplied', async () => {
      const weights = { norm, gate: matrix(intermediate, hidden, bias.mlp), up: matrix(intermediate, hidden, bias.mlp) };
      await equal((own) => kernelGateUp(own, weights), gateUpPiece(context, weights), { x }, { hidden: intermediate });
      await equal((own) => kernelGateUp(own, weights), gateUpPiece(context, weights), { x }, { act: intermediate, up: intermediate });
    });

    it('logits', async () => {
      const head = matrix(vocab, hidden, false);
      await equal((own) => kernelHead(own, head), headPiece(context, head), { x }, { logits: vocab });
    });
  });
});
