import type { Piece, OnnxRuntime, Values } from './runtime.ts';

/** What runs on named tensors: a piece, or several that stand for one. */
export interface Runnable {
  run(inputs: Values, outputs: Values): Promise<void>;
  release(): Promise<void>;
}

/** A piece that computes the columns [first, first + count) of `logits`. */
export interface HeadPart {
  readonly piece: Piece;
  readonly first: number;
  readonly count: number;
}

/** A head of more weights than one ONNX message holds: parts of the vocabulary side by side, each written to its columns. */
export class SplitHead implements Runnable {
  constructor(
    private readonly runtime: OnnxRuntime,
    private readonly parts: readonly HeadPart[],
  ) {}

  async run(inputs: Values, outputs: Values): Promise<void> {
    const { logits } = outputs;
    const [rows, vocab] = logits.dims;
    const target = logits.data as Float32Array;
    for (const { piece, first, count } of this.parts) {
      // One row's columns lie together, so they are written where they belong.
      const data = rows === 1 ? target.subarray(first, first + count) : new Float32Array(rows * count);
      await piece.run(inputs, { logits: new this.runtime.Tensor('float32', data, [rows, count]) });
      if (rows === 1) continue;
      for (let row = 0; row < rows; row++) target.set(data.subarray(row * count, (row + 1) * count), row * vocab + first);
    }
  }

  async release(): Promise<void> {
    for (const { piece } of this.parts) await piece.release();
  }
}
