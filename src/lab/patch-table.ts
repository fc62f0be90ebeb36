import type { PatchEffect } from '../evals/patch-study.ts';
import type { PointName } from '../graph/points.ts';
import type { DataTable } from './data-table.ts';
import { formatNumber } from './format-number.ts';
import { placeName } from './place-text.ts';

/** Effects of patching as a table; the caption is the figure's text alternative. Rows that are shown on the page are the strongest ones. */
export function patchTable(
  name: string,
  points: readonly { readonly point: PointName; readonly places: readonly PatchEffect[] }[],
): DataTable {
  const rows = points
    .flatMap(({ point, places }) =>
      places.map(({ layer, head, share, difference }) => ({ point, layer, head: head ?? null, share, difference })),
    )
    .sort((a, b) => b.share - a.share);
  const heads = rows.some(({ head }) => head !== null);
  const [best] = rows;
  const place =
    best && `${heads ? '' : `${best.point}, `}${placeName({ layer: best.layer, ...(best.head === null ? {} : { head: best.head }) })}`;
  const least = rows.at(-1);
  return {
    name,
    caption:
      best && least
        ? `${place} gives the most back: ${formatNumber(best.share)} of the difference. ${rows.filter(({ share }) => share > 0.1).length} of ${rows.length} ${heads ? 'heads' : 'places'} give more than 0.1; the least is ${formatNumber(least.share)}.`
        : 'Nothing is measured yet.',
    columns: [
      ...(heads ? [] : [{ key: 'point', label: 'Point' }]),
      { key: 'layer', label: 'Layer' },
      ...(heads ? [{ key: 'head', label: 'Head' }] : []),
      { key: 'share', label: 'Share that comes back', write: (value) => formatNumber(value, 3) },
      { key: 'difference', label: 'Difference, nats', write: (value) => formatNumber(value, 3) },
    ],
    rows,
  };
}
