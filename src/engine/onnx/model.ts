import { ropeTable } from '../../model/rope.ts';
import type { ModelSpec, RopeSpec } from '../../model/spec.ts';
import type { TensorRole } from '../../model/weights.ts';
import { throwIfAborted } from '../request.ts';
import { Attention } from './attention.ts';
import { Distributions } from './distribution.ts';
import type { EmbeddingTable } from './embedding.ts';
import type { Matrix } from './matrix.ts';
import type { PieceModel } from './model-proto.ts';
import {
  blockOutputPiece,
  gateUpPiece,
  headPiece,
  normPiece,
  qkvPiece,
  type BlockOutputWeights,
  type GateUpWeights,
  type PieceContext,
  type QkvWeights,
} from './pieces.ts';
import type { WeightReader } from './read-weights.ts';
import { kernelBlockOutput, kernelContext, kernelGateUp, kernelHead, kernelQkv, type KernelContext } from './kernels/kernel-pieces.ts';
import type { Products } from './kernels/products.ts';
import { SessionPiece, type Runnable } from './runnable.ts';
import { Piece, type OnnxRuntime } from './runtime.ts';
import { SplitHead, type HeadPart } from './split-piece.ts';

export interface OnnxLayer {
  readonly qkv: Runnable;
  readonly output: Runnable;
  readonly gateUp: Runnable;
  readonly down: Runnable;
  /** Norms of the blocks' outputs, for when an edit takes a piece apart; null where the family has none. */
  readonly postAttnNorm: Float32Array | null;
  readonly postMlpNorm: Float32Array | null;
  /** [positions, headDim / 2]. */
  readonly rope: { readonly cos: Float32Array; readonly sin: Float32Array };
}

/** A model as pieces that are ready to run. */
export interface OnnxModel {
  readonly spec: ModelSpec;
  readonly runtime: OnnxRuntime;
  readonly embedding: EmbeddingTable;
  readonly layers: readonly OnnxLayer[];
  readonly finalNorm: Runnable;
  readonly head: Runnable;
  readonly attention: Attention;
  readonly distributions: Distributions;
  /** Threads of our own kernels and how they were chosen, for people; null where they compute nothing. */
  readonly kernelThreads: string | null;
  /** Bytes of all weights as the pieces keep them, and of the embedding. */
  readonly weightBytes: number;
  release(): Promise<void>;
}

/**
 * ONNX Runtime's f32 kernel for int4 weights and one row reads them as they are; for more rows it expands them first, which takes as
 * long as two to three single rows.
 */
const SINGLE_ROWS = 3;

export interface LoadModelOptions {
  readonly context: PieceContext;
  readonly runtime: OnnxRuntime;
  readonly threads: number;
  readonly quantized: boolean;
  readonly reader: WeightReader;
  readonly positions: number;
  readonly headPieceBytes: number;
  /** Our own kernels, for what is quantised; null: ONNX Runtime computes all products. */
  readonly products: Products | null;
  readonly now: () => number;
  readonly onPiece: (done: number, total: number) => void;
  readonly signal: AbortSignal | undefined;
}

/**
 * Loads piece by piece: the weights of one are read, written into its model and handed to a session before the next are read, so that
 * at most a few copies of one piece exist at a time.
 */
export async function loadModel(options: LoadModelOptions): Promise<OnnxModel> {
  const { context, runtime, threads, reader, products, signal } = options;
  const { spec } = context;
  const kernels = products && kernelContext(spec, products);
  const rowByRow = options.quantized && context.level === 0 ? SINGLE_ROWS : 1;
  const released: { release(): Promise<void> | void }[] = products ? [products] : [];
  const total = spec.layers * 4 + 2;
  let built = 0;
  let weightBytes = 0;
  const session = async (model: PieceModel, ...matrices: readonly Matrix[]): Promise<Runnable> => {
    const piece = new SessionPiece(runtime, await Piece.create(runtime, model, threads), rowByRow);
    released.push(piece);
    for (const matrix of matrices) weightBytes += storedBytes(matrix);
    return piece;
  };
  /** A piece with these matrices on whatever computes it. */
  const piece = async (
    matrices: readonly Matrix[],
    own: (kernels: KernelContext) => Runnable,
    model: () => PieceModel,
  ): Promise<Runnable> => {
    throwIfAborted(signal);
    const made = kernels?.products.takes(matrices) ? own(kernels) : await session(model(), ...matrices);
    options.onPiece(Math.min(++built, total), total);
    return made;
  };
  const norm = async (role: TensorRole, layer: number): Promise<Float32Array> => {
    const weight = await reader.vector(role, layer);
    return spec.normOffset === 0 ? weight : weight.map((value) => spec.normOffset + value);
  };
  const release = async (): Promise<void> => {
    for (const one of released.splice(0)) await one.release();
  };

  try {
    const attention = await Attention.create(runtime, spec, threads);
    released.push(attention);
    const ropes = ropesOf(spec, options.positions);
    const embedding = await reader.embedding();
    const layers: OnnxLayer[] = [];
    for (let layer = 0; layer < spec.layers; layer++) layers.push(await loadLayer(layer));
    throwIfAborted(signal);
    const finalNorm = await session(normPiece(context, await norm('final_norm', -1)));
    const head = await loadHead(spec.tiedHead ? 'embed' : 'head');
    const distributions = await Distributions.create(runtime, spec.vocab, threads);
    released.push(distributions);
    return {
      spec,
      runtime,
      embedding,
      layers,
      finalNorm,
      head,
      attention,
      distributions,
      kernelThreads: products && (await products.ready(options.now)),
      weightBytes: weightBytes + (products?.bytes ?? 0) + embeddingBytes(embedding),
      release,
    };

    async function loadHead(role: 'embed' | 'head'): Promise<Runnable> {
      const most = Math.max(1, Math.floor(options.headPieceBytes / reader.headRowBytes(role)));
      const parts: HeadPart[] = [];
      for (let first = 0; first < spec.vocab; first += most) {
        const count = Math.min(most, spec.vocab - first);
        const matrix = await reader.head(role, first, count);
        const part = await piece(
          [matrix],
          (own) => kernelHead(own, matrix),
          () => headPiece(context, matrix),
        );
        parts.push({ piece: part, first, count });
      }
      return parts.length === 1 ? parts[0].piece : new SplitHead(parts);
    }

    async function loadLayer(layer: number): Promise<OnnxLayer> {
      const { bias } = spec;
      const projection = (role: TensorRole, biased: TensorRole | null): Promise<Matrix> => reader.projection(role, layer, biased);
      const qkvWeights: QkvWeights = {
        norm: await norm('input_norm', layer),
        q: await projection('q', bias.qkv ? 'q_bias' : null),
        k: await projection('k', bias.qkv ? 'k_bias' : null),
        v: await projection('v', bias.qkv ? 'v_bias' : null),
        qNorm: spec.headNorm ? await norm('q_norm', layer) : null,
        kNorm: spec.headNorm ? await norm('k_norm', layer) : null,
      };
      const qkv = await piece(
        [qkvWeights.q, qkvWeights.k, qkvWeights.v],
        (own) => kernelQkv(own, qkvWeights),
        () => qkvPiece(context, qkvWeights),
      );
      const blockOutput = (weights: BlockOutputWeights): Promise<Runnable> =>
        piece(
          [weights.matrix],
          (own) => kernelBlockOutput(own, weights),
          () => blockOutputPiece(context, weights),
        );
      const postAttnNorm = spec.sandwichNorm ? await norm('post_attn_norm', layer) : null;
      const output = await blockOutput({ matrix: await projection('o', bias.o ? 'o_bias' : null), postNorm: postAttnNorm });
      const gateUpWeights: GateUpWeights = {
        norm: await norm('pre_mlp_norm', layer),
        gate: await projection('gate', bias.mlp ? 'gate_bias' : null),
        up: await projection('up', bias.mlp ? 'up_bias' : null),
      };
      const gateUp = await piece(
        [gateUpWeights.gate, gateUpWeights.up],
        (own) => kernelGateUp(own, gateUpWeights),
        () => gateUpPiece(context, gateUpWeights),
      );
      const postMlpNorm = spec.sandwichNorm ? await norm('post_mlp_norm', layer) : null;
      const down = await blockOutput({ matrix: await projection('down', bias.mlp ? 'down_bias' : null), postNorm: postMlpNorm });
      return { qkv, output, gateUp, down, postAttnNorm, postMlpNorm, rope: ropes[layer] };
    }
  } catch (error) {
    await release();
    throw error;
  }
}

/** Bytes that a session keeps of a matrix. */
function storedBytes({ weights, bias }: Matrix): number {
  const kept = weights.kind === 'f32' ? weights.values.byteLength : weights.quantized.data.length + weights.quantized.scales.length * 4;
  return kept + (bias?.byteLength ?? 0);
}

function embeddingBytes(table: EmbeddingTable): number {
  if (table.kind === 'f32') return table.values.byteLength;
  if (table.kind === 'q8') return table.quantized.data.byteLength + table.quantized.scales.byteLength;
  return table.bits.byteLength;
}

/** By layer; layers of one kind share a table. */
function ropesOf(spec: ModelSpec, positions: number): OnnxLayer['rope'][] {
  const tables = new Map<string, OnnxLayer['rope']>();
  const tableOf = (rope: RopeSpec): OnnxLayer['rope'] => {
    const name = JSON.stringify(rope);
    const known = tables.get(name);
    if (known) return known;
    const table = ropeTable(rope, spec.headDim, positions);
    tables.set(name, table);
    return table;
  };
  return spec.layerSpecs.map((layer) => tableOf(layer.rope));
}
