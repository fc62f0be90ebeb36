import type { OnnxRuntime, Piece, Values } from './runtime.ts';

/** Arrays [rows, width] by name; each width is what the array's length says. */
export type Arrays = Readonly<Record<string, Float32Array>>;

/** A piece of the forward pass, whatever computes it. */
export interface Runnable {
  /** Computes `outputs` (a part of what the piece can give) from `inputs`. */
  run(rows: number, inputs: Arrays, outputs: Arrays): Promise<void> | void;
  release(): Promise<void>;
}

/** A session of ONNX Runtime. */
export class SessionPiece implements Runnable {
  constructor(
    private readonly runtime: OnnxRuntime,
    private readonly piece: Piece,
    /** Up to this many rows, a product of each row by itself is faster than one of them together. */
    private readonly rowByRow: number,
  ) {}

  async run(rows: number, inputs: Arrays, outputs: Arrays): Promise<void> {
    const { Tensor } = this.runtime;
    const step = rows <= this.rowByRow ? 1 : rows;
    for (let row = 0; row < rows; row += step) {
      const tensors = (arrays: Arrays): Values =>
        Object.fromEntries(
          Object.entries(arrays).map(([name, data]) => {
            const width = data.length / rows;
            const part = step === rows ? data : data.subarray(row * width, (row + step) * width);
            return [name, new Tensor('float32', part, [step, width])];
          }),
        );
      await this.piece.run(tensors(inputs), tensors(outputs));
    }
  }

  release(): Promise<void> {
    return this.piece.release();
  }
}
