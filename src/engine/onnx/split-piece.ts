import type { Arrays, Runnable } from './runnable.ts';

/** A piece that computes the columns [first, first + count) of `logits`. */
export interface HeadPart {
  readonly piece: Runnable;
  readonly first: number;
  readonly count: number;
}

/** A head of more weights than one ONNX message holds: parts of the vocabulary side by side, each written to its columns. */
export class SplitHead implements Runnable {
  constructor(private readonly parts: readonly HeadPart[]) {}

  async run(rows: number, inputs: Arrays, { logits: target }: Arrays): Promise<void> {
    const vocab = target.length / rows;
    for (const { piece, first, count } of this.parts) {
      // One row's columns lie together, so they are written where they belong.
      const data = rows === 1 ? target.subarray(first, first + count) : new Float32Array(rows * count);
      await piece.run(rows, inputs, { logits: data });
      if (rows === 1) continue;
      for (let row = 0; row < rows; row++) target.set(data.subarray(row * count, (row + 1) * count), row * vocab + first);
    }
  }

  async release(): Promise<void> {
    for (const { piece } of this.parts) await piece.release();
  }
}
