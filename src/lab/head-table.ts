import type { ModelShape } from '../graph/points.ts';
import type { DataTable } from './data-table.ts';
import { formatStrength } from './experiment.ts';
import { formatNumber } from './format-number.ts';
import type { Palette } from './palette.ts';

/** The head map as a table: every head, in order; shown are those that are steered. */
export function headTable(shape: ModelShape, strengths: ReadonlyMap<number, number>, palette: Palette | null, factor: number): DataTable {
  const known = palette !== null && palette.relevance.length === shape.layers * shape.heads;
  const rows = Array.from({ length: shape.layers * shape.heads }, (_, row) => ({
    layer: Math.floor(row / shape.heads),
    head: row % shape.heads,
    strength: strengths.get(row) ?? null,
    relevance: known ? palette.relevance[row] : null,
  }));
  return {
    name: 'heads',
    caption: describeHeads(shape, strengths, factor),
    columns: [
      { key: 'layer', label: 'Layer' },
      { key: 'head', label: 'Head' },
      { key: 'strength', label: 'Strength', write: formatStrength },
      { key: 'relevance', label: 'Relevance', write: (value) => formatNumber(value, 3) },
    ],
    rows,
    shown: rows.filter((row) => row.strength !== null),
  };
}

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
