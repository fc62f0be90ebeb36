import { ropeTable } from '../../model/rope.ts';
import type { ModelSpec, RopeSpec } from '../../model/spec.ts';
import type { TensorRole } from '../../model/weights.ts';
import { throwIfAborted } from '../request.ts';
import { Attention } from './attention.ts';
import { Distributions } from './distribution.ts';
import type { EmbeddingTable } from './embedding.ts';
import type { Matrix } from './matrix.ts';
import type { PieceModel } from './model-proto.ts';
import { blockOutputPiece, gateUpPiece, headPiece, normPiece, qkvPiece, type PieceContext } from './pieces.ts';
import type { WeightReader } from './read-weights.ts';
import { Piece, type OnnxRuntime } from './runtime.ts';
import { SplitHead, type HeadPart, type Runnable } from './split-piece.ts';

export interface OnnxLayer {
  readonly qkv: Piece;
  readonly output: Piece;
  readonly gateUp: Piece;
  readonly down: Piece;
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
  readonly finalNorm: Piece;
  readonly head: Runnable;
  readonly attention: Attention;
  readonly distributions: Distributions;
  /** Up to this many rows, a product of each row by itself is faster than one of them together. */
  readonly rowByRow: number;
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
  readonly onPiece: (done: number, total: number) => void;
  readonly signal: AbortSignal | undefined;
}

/**
 * Loads piece by piece: the weights of one are read, written into its model and handed to a session before the next are read, so that
 * at most a few copies of one piece exist at a time.
 */
export async function loadModel(options: LoadModelOptions): Promise<OnnxModel> {
  const { context, runtime, threads, reader, signal } = options;
  const { spec } = context;
  const pieces: Piece[] = [];
  const released: { release(): Promise<void> }[] = [];
  const total = spec.layers * 4 + 2;
  let weightBytes = 0;
  const weighed = (...matrices: readonly Matrix[]): void => {
    for (const { weights, bias } of matrices) {
      weightBytes +=
        weights.kind === 'f32' ? weights.values.byteLength : weights.quantized.data.length + weights.quantized.scales.length * 4;
      weightBytes += bias?.byteLength ?? 0;
    }
  };
  const compile = async (model: PieceModel): Promise<Piece> => {
    throwIfAborted(signal);
    const piece = await Piece.create(runtime, model, threads);
    pieces.push(piece);
    options.onPiece(Math.min(pieces.length, total), total);
    return piece;
  };
  const norm = async (role: TensorRole, layer: number): Promise<Float32Array> => {
    const weight = await reader.vector(role, layer);
    return spec.normOffset === 0 ? weight : weight.map((value) => spec.normOffset + value);
  };
  const release = async (): Promise<void> => {
    for (const piece of [...pieces.splice(0), ...released.splice(0)]) await piece.release();
  };

  try {
    const attention = await Attention.create(runtime, spec, threads);
    released.push(attention);
    const ropes = ropesOf(spec, options.positions);
    const embedding = await reader.embedding();
    const layers: OnnxLayer[] = [];
    for (let layer = 0; layer < spec.layers; layer++) layers.push(await loadLayer(layer));
    const finalNorm = await compile(normPiece(context, await norm('final_norm', -1)));
    const head = await loadHead(spec.tiedHead ? 'embed' : 'head');
    const distributions = await Distributions.create(runtime, spec.vocab, threads);
    released.push(distributions);
    const rowByRow = options.quantized && context.level === 0 ? SINGLE_ROWS : 1;
    return {
      spec,
      runtime,
      rowByRow,
      embedding,
      layers,
      finalNorm,
      head,
      attention,
      distributions,
      weightBytes: weightBytes + embeddingBytes(embedding),
      release,
    };

    async function loadHead(role: 'embed' | 'head'): Promise<Runnable> {
      const most = Math.max(1, Math.floor(options.headPieceBytes / reader.headRowBytes(role)));
      const parts: HeadPart[] = [];
      for (let first = 0; first < spec.vocab; first += most) {
        const count = Math.min(most, spec.vocab - first);
        const matrix = await reader.head(role, first, count);
        weighed(matrix);
        parts.push({ piece: await compile(headPiece(context, matrix)), first, count });
      }
      return parts.length === 1 ? parts[0].piece : new SplitHead(runtime, parts);
    }

    async function loadLayer(layer: number): Promise<OnnxLayer> {
      const { bias } = spec;
      const projection = async (role: TensorRole, biased: TensorRole | null): Promise<Matrix> => {
        const loaded = await reader.projection(role, layer, biased);
        weighed(loaded);
        return loaded;
      };
      const qkv = await compile(
        qkvPiece(context, {
          norm: await norm('input_norm', layer),
          q: await projection('q', bias.qkv ? 'q_bias' : null),
          k: await projection('k', bias.qkv ? 'k_bias' : null),
          v: await projection('v', bias.qkv ? 'v_bias' : null),
          qNorm: spec.headNorm ? await norm('q_norm', layer) : null,
          kNorm: spec.headNorm ? await norm('k_norm', layer) : null,
        }),
      );
      const postAttnNorm = spec.sandwichNorm ? await norm('post_attn_norm', layer) : null;
      const output = await compile(
        blockOutputPiece(context, { matrix: await projection('o', bias.o ? 'o_bias' : null), postNorm: postAttnNorm }),
      );
      const gateUp = await compile(
        gateUpPiece(context, {
          norm: await norm('pre_mlp_norm', layer),
          gate: await projection('gate', bias.mlp ? 'gate_bias' : null),
          up: await projection('up', bias.mlp ? 'up_bias' : null),
        }),
      );
      const postMlpNorm = spec.sandwichNorm ? await norm('post_mlp_norm', layer) : null;
      const down = await compile(
        blockOutputPiece(context, { matrix: await projection('down', bias.mlp ? 'down_bias' : null), postNorm: postMlpNorm }),
      );
      return { qkv, output, gateUp, down, postAttnNorm, postMlpNorm, rope: ropes[layer] };
    }
  } catch (error) {
    await release();
    throw error;
  }
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
