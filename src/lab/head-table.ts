import type { ModelShape } from '../graph/points.ts';
import { formatStrength } from './experiment.ts';
import type { Palette } from './palette.ts';

export interface HeadRow {
  readonly layer: number;
  readonly head: number;
  /** Strength in the graph; null for an untouched head. */
  readonly strength: number | null;
  readonly relevance: number | null;
}

/** The head map as a table: every head, in order. */
export function headTable(shape: ModelShape, strengths: ReadonlyMap<number, number>, palette: Palette | null): HeadRow[] {
  const known = palette !== null && palette.relevance.length === shape.layers * shape.heads;
  return Array.from({ length: shape.layers * shape.heads }, (_, row) => ({
    layer: Math.floor(row / shape.heads),
    head: row % shape.heads,
    strength: strengths.get(row) ?? null,
    relevance: known ? palette.relevance[row] : null,
  }));
}

export const headCsv = (rows: readonly HeadRow[]): string =>
  ['layer,head,strength,relevance', ...rows.map((row) => [row.layer, row.head, row.strength ?? '', row.relevance ?? ''].join(','))].join(
    '\n',
  ) + '\n';

/** One sentence that says what the map shows. */
export function describeHeads(shape: ModelShape, strengths: ReadonlyMap<number, number>, factor: number): string {
  if (strengths.size === 0) return 'No head is steered.';
  const values = [...strengths.values()].map((strength) => strength * factor);
  const towards = values.filter((value) => value > 0).length;
  const away = values.filter((value) => value < 0).length;
  const still = values.length - towards - away;
  const parts = [towards > 0 && `${towards} towards`, away > 0 && `${away} away`, still > 0 && `${still} at strength 0`].filter(Boolean);
  return `${strengths.size} of ${shape.layers * shape.heads} heads are steered: ${parts.join(', ')}. Overall strength ×${formatStrength(factor)}.`;
}
