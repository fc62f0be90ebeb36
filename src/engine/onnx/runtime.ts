import type { InferenceSession, InferenceSessionFactory, Tensor, TensorConstructor } from 'onnxruntime-common';
import { TillerError } from '../../errors/error.ts';
import type { KernelHost } from './kernels/products.ts';
import type { PieceModel } from './model-proto.ts';

/**
 * ONNX Runtime as this engine needs it: the classes of onnxruntime-node or onnxruntime-web, handed in so that one engine runs on both,
 * and what is different between them.
 */
export interface OnnxRuntime {
  /** Package, version and what it computes on, for people. */
  readonly name: string;
  readonly InferenceSession: InferenceSessionFactory;
  readonly Tensor: TensorConstructor;
  /**
   * Whether a session writes into the output tensors that it is handed. onnxruntime-node does, and gives copies besides, which is why a
   * cache of keys and values is never an output here; onnxruntime-web gives new tensors only.
   */
  readonly fillsOutputs: boolean;
  /** Threads that a session may be given; 1 where that is not a session's choice. */
  readonly maxThreads: number;
  /** Threads of all sessions, where they have been chosen before there was one. */
  readonly threads?: ThreadChoice;
  /** Bytes that weights and what computes with them may take together; null where the machine's memory is the limit. */
  readonly memory: number | null;
  /**
   * Whether weights are handed over beside the model and not within it: onnxruntime-web copies them straight to where they stay, and would
   * hold a piece three times otherwise, in a memory that never shrinks. onnxruntime-node takes files only.
   */
  readonly weightsApart: boolean;
  /** Whether products with quantised weights are slower than with the f32 weights that they stand for. */
  readonly expandsWeights: boolean;
  /** What our own kernels for quantised weights need; null: ONNX Runtime computes all products. */
  readonly kernels: KernelHost | null;
}

export interface ThreadChoice {
  readonly count: number;
  /** How it was chosen, for people. */
  readonly line: string;
}

export type Values = Readonly<Record<string, Tensor>>;

/** One compiled piece of the forward pass. */
export class Piece {
  private constructor(
    private readonly session: InferenceSession,
    private readonly fills: boolean,
  ) {}

  /** Throws device/out-of-memory. @param piece not used after this returns */
  static async create(runtime: OnnxRuntime, piece: PieceModel, threads: number): Promise<Piece> {
    const { InferenceSession, weightsApart, fillsOutputs } = runtime;
    const options = sessionOptions(threads);
    if (!weightsApart) return new Piece(await InferenceSession.create(piece.whole(), options), fillsOutputs);
    const { model, constants } = piece.apart();
    try {
      return new Piece(await InferenceSession.create(model, { ...options, externalData: constants }), fillsOutputs);
    } catch (cause) {
      if (!(cause instanceof Error && /bad_alloc|memory|allocat|aborted/i.test(cause.message))) throw cause;
      const bytes = constants.reduce((sum, { data }) => sum + data.length, 0);
      const needed = `${Math.ceil(bytes / 2 ** 20)} MiB more`;
      throw new TillerError('device/out-of-memory', { what: 'a part of the model', needed }, { cause });
    }
  }

  /** Computes `outputs` (a part of what the piece can give) into the arrays of the tensors handed in. */
  async run(inputs: Values, outputs: Values): Promise<void> {
    if (this.fills) {
      await this.session.run(inputs, outputs);
      return;
    }
    const results = await this.session.run(inputs, Object.keys(outputs));
    for (const [name, target] of Object.entries(outputs)) (target.data as Float32Array).set(results[name].data as Float32Array);
  }

  async release(): Promise<void> {
    await this.session.release();
  }
}

/** How long a thread waits for work in a loop before it sleeps. */
const SPIN_US = '20';

/**
 * Threads of a session wait for work in a loop only while it runs, and not for long: every piece has a pool of its own, and pools that
 * waited between runs would take the cores from the piece whose turn it is. Long waits lose more than waking costs as soon as other
 * programs use the cores: with two of them busy, decoding was twelve times slower.
 */
function sessionOptions(threads: number): InferenceSession.SessionOptions {
  return {
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    logSeverityLevel: 3,
    // Every session would keep the most that it ever needed: hundreds of MB for the sessions of one model after a long prompt.
    enableCpuMemArena: false,
    enableMemPattern: false,
    extra: { session: { force_spinning_stop: '1', intra_op: { allow_spinning: threads > 1 ? '1' : '0', spin_duration_us: SPIN_US } } },
  };
}
