import { grid, type Dispatch } from './dispatch.ts';
import type { KernelVariant } from './pipelines.ts';

/** In place of a token id: there is none. */
export const NO_TOKEN = 0xffffffff;
/** Most tokens a row that `topk` lists. */
export const MAX_TOP = 32;

/** The kernels that turn logits into tokens and scores, for `Pipelines.prepare`. */
export const samplerKernels = {
  /** Temperature 0 only. */
  greedy: { shader: 'sample', includes: { choose: 'sample_greedy' } },
  sample: { shader: 'sample', includes: { choose: 'sample_noise' } },
  logprob: { shader: 'logprob' },
  kl: { shader: 'kl' },
  topk: { shader: 'topk' },
} as const satisfies Record<string, KernelVariant>;

/** Logits of a batch: [rows, stride] f32; stride is the vocabulary padded to a multiple of 32. */
export interface LogitsView {
  readonly binding: GPUBufferBinding;
  readonly vocab: number;
  readonly stride: number;
  readonly rows: number;
}

/** `sample`'s uniform, 32 bytes. It changes with the request only. */
export function sampleParams(
  logits: Omit<LogitsView, 'binding'>,
  sampling: { readonly temperature: number; readonly topK: number; readonly topP: number },
  stopCount: number,
): ArrayBuffer {
  const bytes = new ArrayBuffer(32);
  new Uint32Array(bytes, 0, 4).set([logits.vocab, logits.stride, sampling.topK, stopCount]);
  new Float32Array(bytes, 16, 2).set([sampling.temperature, sampling.topP]);
  new Uint32Array(bytes, 24, 1).set([logits.rows]);
  return bytes;
}

/** The uniform, 16 bytes, of `logprob` (count: targets, last: 0), `kl` (count: pairs, last: 0) and `topk` (count: rows, last: n). */
export function rowParams(logits: Pick<LogitsView, 'vocab' | 'stride'>, count: number, last = 0): Uint32Array<ArrayBuffer> {
  return new Uint32Array([logits.vocab, logits.stride, count, last]);
}

/** Passes over the row that `find_threshold` makes. */
const thresholdPasses = 11;

/**
 * Next token of every row (at most 65535 of them).
 * @param buffers.params `sampleParams`
 * @param buffers.rows row table, vec4<u32> a row: read, and moved one step forward
 * @param buffers.seeds u32 a row
 * @param buffers.stops u32 ids; at least 4 bytes even where there are none
 * @param buffers.output RING x rows of (token, bits of the log-probability)
 * @param greedy the temperature is 0: the small kernel, which reads no seeds
 */
export function sampleDispatch(
  logits: LogitsView,
  buffers: Readonly<Record<'params' | 'rows' | 'seeds' | 'stops' | 'output', GPUBufferBinding>>,
  greedy = false,
): Dispatch {
  return {
    variant: greedy ? samplerKernels.greedy : samplerKernels.sample,
    bindings: [buffers.params, logits.binding, buffers.rows, greedy ? null : buffers.seeds, buffers.stops, buffers.output],
    workgroups: [logits.rows, 1, 1],
    cost: logits.rows * logits.vocab * (2 + 2 * thresholdPasses),
  };
}

/**
 * Log-probabilities of tokens in rows, and the rows' log-sum-exps.
 * @param count number of targets
 * @param buffers.params `rowParams(logits, count)`
 * @param buffers.targets vec2<u32> a target: row and token, NO_TOKEN for none
 * @param buffers.output vec2<f32> a target: (log-probability, 0 for none; log-sum-exp)
 */
export function logprobDispatch(
  logits: LogitsView,
  count: number,
  buffers: Readonly<Record<'params' | 'targets' | 'output', GPUBufferBinding>>,
): Dispatch {
  return {
    variant: samplerKernels.logprob,
    bindings: [buffers.params, logits.binding, buffers.targets, buffers.output],
    workgroups: grid(count),
    cost: count * logits.vocab,
  };
}

/**
 * KL(a || b) in nats for pairs of rows of the same logits.
 * @param count number of pairs
 * @param buffers.params `rowParams(logits, count)`
 * @param buffers.scores output of `logprobDispatch` over the same logits, whose first targets are the rows in order
 * @param buffers.pairs vec2<u32> a pair: rows a and b
 * @param buffers.output f32 a pair
 */
export function klDispatch(
  logits: LogitsView,
  count: number,
  buffers: Readonly<Record<'params' | 'scores' | 'pairs' | 'output', GPUBufferBinding>>,
): Dispatch {
  return {
    variant: samplerKernels.kl,
    bindings: [buffers.params, logits.binding, buffers.scores, buffers.pairs, buffers.output],
    workgroups: grid(count),
    cost: 2 * count * logits.vocab,
  };
}

/**
 * The n most likely tokens of every row, n at most MAX_TOP.
 * @param buffers.params `rowParams(logits, rows, n)`
 * @param buffers.output rows x n of (token, bits of the log-probability); (NO_TOKEN, 0) beyond the vocabulary
 */
export function topkDispatch(logits: LogitsView, buffers: Readonly<Record<'params' | 'output', GPUBufferBinding>>): Dispatch {
  return {
    variant: samplerKernels.topk,
    bindings: [buffers.params, logits.binding, buffers.output],
    workgroups: grid(logits.rows),
    cost: logits.rows * logits.vocab * (2 + thresholdPasses),
  };
}
