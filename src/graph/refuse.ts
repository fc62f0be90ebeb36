import { TillerError } from '../errors/error.ts';
import type { Refusal } from './refusal.ts';

/** The error of a graph that was run although it was refused: the first refusal, and how many more there are. */
export function refusalError(refusals: readonly Refusal[]): TillerError {
  const [first] = refusals;
  if (first.code === 'graph/model-mismatch') return new TillerError(first.code, { fields: first.reason });
  const node = first.node === '' ? '' : `node "${first.node}": `;
  const more = refusals.length > 1 ? ` (and ${refusals.length - 1} more)` : '';
  return new TillerError(first.code, { reason: `${node}${first.reason}${more}`, remedy: first.remedy, node: first.node });
}
