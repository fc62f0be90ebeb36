import { TillerError } from '../errors/error.ts';
import { graphLimits } from './limits.ts';

/** A selector of the greatest depth takes two levels for each `any` or `all`, below node, source and document. */
const depthLimit = 2 * graphLimits.selectorDepth + 16;

const tooLarge = (what: string, got: number | string, limit: number): TillerError =>
  new TillerError('graph/too-large', { what, got, limit });

/**
 * Counts what a document holds, without recursion, before anything recursive looks at it: nodes, vectors, inline numbers, values,
 * nesting. A cycle among JavaScript objects shows as endless nesting, a shared subtree as often as it is reached.
 * @throws graph/too-large
 */
export function checkSize(value: unknown): void {
  if (typeof value !== 'object' || value === null) return;
  const { nodes, vectors } = value as { nodes?: unknown; vectors?: unknown };
  if (Array.isArray(nodes) && nodes.length > graphLimits.nodes) throw tooLarge('the number of nodes', nodes.length, graphLimits.nodes);
  const inline = new Set<unknown>();
  if (typeof vectors === 'object' && vectors !== null) {
    const entries = Object.values(vectors) as unknown[];
    if (entries.length > graphLimits.vectors) throw tooLarge('the number of vectors', entries.length, graphLimits.vectors);
    let numbers = 0;
    for (const entry of entries) {
      const data = typeof entry === 'object' && entry !== null ? (entry as { data?: unknown }).data : null;
      if (!Array.isArray(data)) continue;
      numbers += data.length;
      inline.add(data);
    }
    if (numbers > graphLimits.inlineNumbers) throw tooLarge('the number of inline vector values', numbers, graphLimits.inlineNumbers);
  }
  let level: object[] = [value];
  let count = 1;
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > depthLimit) throw tooLarge('the nesting', `more than ${depthLimit} levels`, depthLimit);
    const next: object[] = [];
    for (const parent of level) {
      if (inline.has(parent) && (parent as unknown[]).every((item) => typeof item === 'number')) continue;
      const children = Object.values(parent) as unknown[];
      count += children.length;
      if (count > graphLimits.values) throw tooLarge('the number of values', `over ${graphLimits.values}`, graphLimits.values);
      for (const child of children) if (typeof child === 'object' && child !== null) next.push(child);
    }
    level = next;
  }
}
