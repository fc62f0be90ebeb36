import type { Capabilities, ServedModel } from '../engine/remote/documents.ts';
import { engineWords } from './engine-choice.ts';
import { formatBytes } from './progress-text.ts';

/** What a runner says of itself, in words. */

/** Tokens of context that memory is counted for, as for models of the browser. */
const context = 2048;
const lanes = 2;

/** Bytes that a model takes with two texts of some length beside one another. */
export const neededBytes = ({ memory, limits }: Pick<ServedModel, 'memory' | 'limits'>): number =>
  memory.weights + lanes * Math.min(context, limits.maxContext) * memory.cachePerToken;

export interface ModelState {
  readonly text: string;
  /** Why it cannot be loaded; null where it can. */
  readonly reason: string | null;
}

/** @param memory of the machine, bytes */
export function modelState(model: ServedModel, memory: Capabilities['memory']): ModelState {
  if (model.problem !== null) return { text: 'failed', reason: model.problem };
  if (model.state === 'ready') return { text: 'in memory', reason: null };
  if (model.state === 'loading') return { text: 'loading', reason: null };
  const needed = neededBytes(model);
  return needed > memory.total
    ? { text: 'too large', reason: `It needs ${formatBytes(needed)}; the machine has ${formatBytes(memory.total)}.` }
    : { text: needed > memory.free ? `needs ${formatBytes(needed)}, ${formatBytes(memory.free)} are free now` : 'on disk', reason: null };
}

export function busyWords({ running, queued, jobs }: Capabilities['busy']): string {
  const parts = [
    running > 0 && `${running} ${running === 1 ? 'request runs' : 'requests run'}`,
    queued > 0 && `${queued} wait`,
    jobs > 0 && `${jobs} ${jobs === 1 ? 'job runs' : 'jobs run'}`,
  ].filter((part) => part !== false);
  return parts.length === 0 ? 'idle' : parts.join(', ');
}

/** One line: what computes there. */
export function machineWords({ adapter, engine, memory, program }: Capabilities): string {
  const what = adapter
    ? `${adapter.name}${adapter.kind === 'software' ? ' (software GPU)' : ''}`
    : engine === 'auto'
      ? 'the adapter is known once a model is loaded'
      : engineWords[engine].name;
  return `${what}; ${formatBytes(memory.free)} of ${formatBytes(memory.total)} memory free; Tiller ${program}`;
}

export function shapeWords({ family, layers, heads, headDim, hidden }: ServedModel): string {
  return `${family}, ${layers} layers of ${heads} heads of ${headDim}, width ${hidden}`;
}
