import { tensorLayout } from './layout.ts';
import { LARGE_TABLE_BYTES } from './memory.ts';
import { GROUP, groupsOf } from './quantize.ts';
import type { ModelSpec } from './spec.ts';
import type { Quantization, TensorDtype } from './weights.ts';

/** What the CPU engine needs of a WebAssembly memory, which holds 4 GiB and never shrinks. Counted from shapes, before anything is read. */

/** What a WebAssembly memory with 32-bit addresses holds. */
export const WASM_MEMORY = 2 ** 32;
/**
 * Quantised weights are expanded to f32, so that nothing but them is rounded, where all that is needed then stays below this: some 200
 * million parameters. Larger models read four to seven times as many bytes a token that way as in int8 or int4.
 */
const EXPANDED_BYTES = 2 ** 30;
/** Most rows of one call of the CPU engine: enough for products to run at full speed, few enough that Stop is served soon. */
export const CPU_ROWS = 256;
/** Most bytes of logits that it holds at once. */
export const CPU_LOGIT_BYTES = 64 * 2 ** 20;
/** Tokens of context unless a caller asks for more. */
export const DEFAULT_CONTEXT = 4096;
/** ONNX Runtime itself, and what allocation wastes: measured 14 MiB before the first weight. */
const RUNTIME_BYTES = 64 * 2 ** 20;

/** Of 32 inputs of eight outputs, as engine/onnx/kernels/layout.ts has them. */
const wovenBytes = { q4: 144, q8: 272 } as const;

const dtypeBytes: Readonly<Record<TensorDtype, number>> = { F32: 4, F16: 2, BF16: 2 };

/** Whether quantised weights are kept as the f32 weights that they stand for, where products with them are slower. */
export function expandsTo32(spec: ModelSpec, quantization: Quantization, below: number = EXPANDED_BYTES): boolean {
  return quantization !== 'none' && needed(spec, { quantization: 'none', stored: 'F32', context: DEFAULT_CONTEXT }).total <= below;
}

export interface WasmNeed {
  /** Weights as they stay. */
  readonly weights: number;
  /** The largest piece a second time, while it is brought into the order that products read it in. */
  readonly packing: number;
  /** Inputs and outputs of one call, scores of its attention, and ONNX Runtime itself: an estimate from above. */
  readonly working: number;
  readonly total: number;
  /** The embedding, whose rows are looked up outside of that memory. */
  readonly outside: number;
}

interface NeedOptions {
  readonly quantization: Quantization;
  /** How the weights are stored in the files. */
  readonly stored: TensorDtype;
  /** Tokens. */
  readonly context: number;
  /** Whether quantised weights are for our own kernels, in memories of their own with scales in half precision. @default true */
  readonly woven?: boolean;
  /** As of `LoadOptions`. */
  readonly expandBelow?: number;
}

/** Bytes. */
export function wasmNeeded(spec: ModelSpec, options: NeedOptions): WasmNeed {
  return needed(spec, expandsTo32(spec, options.quantization, options.expandBelow) ? { ...options, quantization: 'none' } : options);
}

/** With weights kept as asked for. */
function needed(spec: ModelSpec, { quantization: kept, stored, context, woven = true }: NeedOptions): WasmNeed {
  const bytes = (rows: number, cols: number, kind: Quantization): number => {
    const groups = groupsOf(cols);
    if (kept !== 'none' && kind !== 'none' && woven) return Math.ceil(rows / 8) * groups * wovenBytes[kind];
    // Scales are widened to f32; int8 in f32 arithmetic is two int4 products with scales of their own.
    if (kind === 'q4') return rows * groups * (GROUP / 2 + 4);
    return kind === 'q8' ? rows * groups * (GROUP + 8) : 4 * rows * cols;
  };
  const pieces = new Map<string, number>();
  const add = (piece: string, size: number): void => void pieces.set(piece, (pieces.get(piece) ?? 0) + size);
  for (const { role, layer, shape } of tensorLayout(spec)) {
    const [rows, cols] = shape;
    if (role === 'head' || (role === 'embed' && spec.tiedHead)) {
      const large = kept !== 'none' && rows * cols * dtypeBytes[stored] > LARGE_TABLE_BYTES;
      add('head', bytes(rows, cols, large ? 'q8' : 'none'));
    } else if (role !== 'embed') add(`${layer} ${pieceOf[role] ?? role}`, shape.length === 1 ? 4 * rows : bytes(rows, cols, kept));
  }
  const { hidden, intermediate, heads, kvHeads, headDim, vocab } = spec;
  const positions = Math.min(context, spec.maxPositions);
  const rows = 4 * CPU_ROWS * (3 * hidden + 2 * (heads + 2 * kvHeads) * headDim + 5 * intermediate);
  // Keys, values, mask; scores, once more while they become probabilities.
  const attention = 4 * positions * (2 * 2 * kvHeads * headDim + CPU_ROWS * (1 + 2 * heads));
  const logits = 3 * Math.max(4 * vocab, Math.min(CPU_LOGIT_BYTES, 4 * vocab * CPU_ROWS));
  const sizes = [...pieces.values()];
  const weights = sizes.reduce((sum, size) => sum + size, 0);
  const packing = Math.max(...sizes);
  const working = RUNTIME_BYTES + Math.max(rows + attention, logits);
  const table = vocab * hidden;
  const outside =
    kept !== 'none' && table * dtypeBytes[stored] > LARGE_TABLE_BYTES ? table + (table / GROUP) * 2 : table * dtypeBytes[stored];
  return { weights, packing, working, total: weights + packing + working, outside };
}

/** Tensors that lie in one piece. */
const pieceOf: Readonly<Record<string, string>> = { q: 'qkv', k: 'qkv', v: 'qkv', gate: 'gateUp', up: 'gateUp' };
