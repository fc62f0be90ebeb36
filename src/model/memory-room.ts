import { TillerError } from '../errors/error.ts';
import { planMemory, type MemoryPlan, type PlanOptions } from './memory-plan.ts';
import type { ModelSpec } from './spec.ts';
import type { Quantization } from './weights.ts';

/** What a machine has for a model. */
export interface MemoryRoom {
  /** The adapter, or the host. */
  readonly name: string;
  /** Bytes that are free; null where nobody tells. */
  readonly memory: number | null;
  /** Most bytes of one buffer that a kernel reads: the smaller of maxBufferSize and maxStorageBufferBindingSize. Null without such a limit. */
  readonly bufferLimit: number | null;
}

/** One thing that is too small. */
export interface Shortage {
  readonly what: 'memory' | 'buffer';
  readonly needed: number;
  readonly has: number;
  /** A sentence without its stop, with the numbers. */
  readonly text: string;
}

/** A change of settings with which the model fits. */
export interface FittingPlan {
  readonly changed: readonly ('quantization' | 'context' | 'lanes')[];
  readonly plan: MemoryPlan;
}

export const gibibytes = (bytes: number): string =>
  bytes >= 2 ** 29 ? `${(bytes / 2 ** 30).toFixed(2)} GiB` : `${(bytes / 2 ** 20).toFixed(1)} MiB`;

/** What of a plan a machine lacks; empty where it fits, or where nothing is known of the machine. */
export function shortages(plan: MemoryPlan, room: MemoryRoom): Shortage[] {
  const out: Shortage[] = [];
  if (room.memory !== null && plan.peak > room.memory) {
    const { weights, cache, scratch, peak, loading, total } = plan;
    const while_ = peak > total ? `, and ${gibibytes(loading)} for copies and the allocator` : '';
    const parts = `weights ${gibibytes(weights)}, cache ${gibibytes(cache)}, scratch ${gibibytes(scratch)}${while_}`;
    const text = `it needs ${gibibytes(peak)} (${parts}); ${room.name} has ${gibibytes(room.memory)}`;
    out.push({ what: 'memory', needed: peak, has: room.memory, text });
  }
  if (room.bufferLimit !== null && plan.largestBuffer.bytes > room.bufferLimit) {
    const { label, bytes } = plan.largestBuffer;
    const text = `${label} take ${gibibytes(bytes)} in one buffer; ${room.name} allows ${gibibytes(room.bufferLimit)}`;
    out.push({ what: 'buffer', needed: bytes, has: room.bufferLimit, text });
  }
  return out;
}

const smaller: Readonly<Record<Quantization, readonly Quantization[]>> = { none: ['q8', 'q4'], q8: ['q4'], q4: [] };
const SHORTEST_CONTEXT = 64;

/** Settings with which the model would fit, the least change first: fewer bits, a shorter context, fewer lanes, or all of them. */
export function whatFits(spec: ModelSpec, options: PlanOptions, room: MemoryRoom): FittingPlan[] {
  const out: FittingPlan[] = [];
  const tryOut = (change: Partial<PlanOptions>): boolean => {
    const plan = planMemory(spec, { ...options, ...change });
    if (shortages(plan, room).length > 0) return false;
    const changed = (['quantization', 'context', 'lanes'] as const).filter((key) => key in change && change[key] !== options[key]);
    out.push({ changed, plan });
    return true;
  };
  const shorter = (more: Partial<PlanOptions>): boolean => {
    const context = longestContext(spec, { ...options, ...more }, room);
    return context !== null && tryOut({ ...more, context });
  };
  for (const quantization of smaller[options.quantization]) if (tryOut({ quantization })) break;
  shorter({});
  for (let lanes = options.lanes - 1; lanes >= 1; lanes -= 1) if (tryOut({ lanes })) break;
  if (out.length > 0) return out;
  for (const quantization of smaller[options.quantization]) if (shorter({ quantization })) return out;
  const [least = options.quantization] = smaller[options.quantization].slice(-1);
  shorter({ quantization: least, lanes: 1 });
  return out;
}

/** The longest context, in steps of 64 tokens, that fits; null where none does. */
export function longestContext(spec: ModelSpec, options: PlanOptions, room: MemoryRoom): number | null {
  const fits = (context: number): boolean => shortages(planMemory(spec, { ...options, context }), room).length === 0;
  let high = Math.floor(Math.min(options.context, spec.maxPositions) / SHORTEST_CONTEXT);
  if (high < 1 || !fits(SHORTEST_CONTEXT)) return null;
  let low = 1;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (fits(middle * SHORTEST_CONTEXT)) low = middle;
    else high = middle - 1;
  }
  return low * SHORTEST_CONTEXT;
}

/** "q4 weights (4.1 GiB)", "a context of 1024 tokens", "1 lane". */
export function fittingText({ changed, plan }: FittingPlan): string {
  const words = {
    quantization: `${plan.quantization} weights`,
    context: `a context of ${plan.context} tokens`,
    lanes: plan.lanes === 1 ? '1 lane' : `${plan.lanes} lanes`,
  };
  return `${changed.map((key) => words[key]).join(' and ')} (${gibibytes(plan.peak)})`;
}

/**
 * Refuses a model that does not fit, with the numbers and with what would fit, before anything is read or allocated.
 * @throws model/too-large
 */
export function refuseTooLarge(name: string, spec: ModelSpec, options: PlanOptions, room: MemoryRoom): MemoryPlan {
  const plan = planMemory(spec, options);
  const lacking = shortages(plan, room);
  if (lacking.length === 0) return plan;
  const fitting = whatFits(spec, options, room);
  throw new TillerError('model/too-large', {
    name,
    problem: lacking.map(({ text }) => text).join('; '),
    fitting: fitting.length > 0 ? `It would fit with ${fitting.map(fittingText).join(', or ')}.` : 'No setting makes it fit here.',
  });
}
