import type { PlaceView, SweepPoint, TestRow } from '../fit/report.ts';
import type { Estimate } from '../evals/condition.ts';
import type { PlaceScore } from '../methods/method.ts';
import type { Cell, DataTable } from './data-table.ts';
import { decimalsFor, formatDose, formatNumber } from './format-number.ts';
import { placeName } from './place-text.ts';

/** What the figures of a fit show, as tables. Captions are their text alternatives. */

const number = (value: number): string => formatNumber(value, decimalsFor(value));
type Columns = DataTable['columns'];

export function placesTable(places: readonly PlaceScore[], scoreName: string, chosen: number): DataTable {
  const [best] = places;
  const used = `${chosen} of ${places.length} are used`;
  return {
    name: 'places',
    caption: best ? `${placeName(best)} is the best by ${scoreName}; ${used}.` : 'Nothing was judged.',
    columns: [
      { key: 'rank', label: 'Rank' },
      { key: 'layer', label: 'Layer' },
      ...(best?.head === undefined ? [] : [{ key: 'head', label: 'Head' }]),
      ...(best?.element === undefined ? [] : [{ key: 'element', label: 'Element' }]),
      { key: 'accuracy', label: 'Told apart', write: (value) => formatNumber(value, 3) },
      { key: 'low', label: '95 % from', write: (value) => formatNumber(value, 3) },
      { key: 'high', label: 'to', write: (value) => formatNumber(value, 3) },
      { key: 'score', label: scoreName, write: number },
      { key: 'used', label: 'Used' },
    ],
    rows: places.map((place, index) => ({
      rank: index + 1,
      layer: place.layer,
      head: place.head ?? null,
      element: place.element ?? null,
      accuracy: place.accuracy ?? null,
      low: place.interval?.[0] ?? null,
      high: place.interval?.[1] ?? null,
      score: place.score,
      used: index < chosen,
    })),
  };
}

const estimateColumns = (key: string, label: string): Columns => [
  { key, label, write: number },
  { key: `${key}_low`, label: 'from', write: number },
  { key: `${key}_high`, label: 'to', write: number },
];
const estimateCells = (key: string, { value, interval }: Estimate): Record<string, Cell> => ({
  [key]: value,
  [`${key}_low`]: interval[0],
  [`${key}_high`]: interval[1],
});

const measured = (effectUnit: string): Columns => [
  ...estimateColumns('effect', effectUnit === '' ? 'Effect' : `Effect, ${effectUnit}`),
  ...estimateColumns('gain', 'Gain'),
  ...estimateColumns('kl', 'KL, nats a token'),
  ...estimateColumns('cross_entropy_rise', 'Cross entropy rise'),
  { key: 'cross_entropy', label: 'Cross entropy', write: number },
];
const measuredCells = ({ effect, gain, damage }: Pick<SweepPoint, 'effect' | 'gain' | 'damage'>): Record<string, Cell> => ({
  ...estimateCells('effect', effect),
  ...estimateCells('gain', gain),
  ...estimateCells('kl', damage.kl),
  ...estimateCells('cross_entropy_rise', damage.crossEntropyRise),
  cross_entropy: damage.crossEntropy.value,
});

/** @param caption says what was found @param recommended index into `points` */
export function sweepTable(points: readonly SweepPoint[], caption: string, effectUnit: string, recommended: number | null): DataTable {
  return {
    name: 'sweep',
    caption,
    columns: [
      { key: 'strength', label: 'Strength', write: formatDose },
      { key: 'count', label: 'Places' },
      ...measured(effectUnit),
      { key: 'recommended', label: 'Recommended' },
    ],
    rows: points.map((point, index) => ({
      strength: point.strength,
      count: point.count,
      ...measuredCells(point),
      recommended: index === recommended,
    })),
  };
}

export function testTable(rows: readonly TestRow[], effectUnit: string): DataTable {
  const choices = rows.some(({ multipleChoice }) => multipleChoice !== undefined);
  return {
    name: 'test',
    caption: `Test rows, measured once: ${rows.map(({ name, gain }) => `${name} gain ${number(gain.value)}`).join(', ')}.`,
    columns: [
      { key: 'condition', label: 'Condition' },
      ...measured(effectUnit),
      ...(choices ? (['mc1', 'mc2', 'mc3'] as const).flatMap((key) => estimateColumns(key, key.toUpperCase())) : []),
    ],
    rows: rows.map((row) => ({
      condition: row.name,
      ...measuredCells(row),
      ...(row.multipleChoice
        ? {
            ...estimateCells('mc1', row.multipleChoice.mc1),
            ...estimateCells('mc2', row.multipleChoice.mc2),
            ...estimateCells('mc3', row.multipleChoice.mc3),
          }
        : {}),
    })),
  };
}

export function scatterTable(view: PlaceView, classes: readonly [string, string]): DataTable {
  const where = placeName({ layer: view.layer, ...(view.head === null ? {} : { head: view.head }) });
  const counts = [0, 1].map((label) => view.points.filter((point) => point.label === label).length);
  return {
    name: `activations-${where.replaceAll(/[ ,]+/g, '-')}`,
    caption: `First two principal components of the activations at ${where}: ${counts[1]} texts are ${classes[1]}, ${counts[0]} are ${classes[0]}.`,
    columns: [
      { key: 'class', label: 'Class' },
      { key: 'part', label: 'Part' },
      { key: 'x', label: 'First', write: number },
      { key: 'y', label: 'Second', write: number },
      { key: 'text', label: 'Text' },
    ],
    rows: view.points.map(({ label, part, x, y, text }) => ({ class: classes[label], part, x, y, text })),
  };
}

export function rocTable(view: PlaceView): DataTable {
  const where = placeName({ layer: view.layer, ...(view.head === null ? {} : { head: view.head }) });
  return {
    name: `roc-${where.replaceAll(/[ ,]+/g, '-')}`,
    caption: `ROC of the direction at ${where} on validation rows: area ${formatNumber(view.auc, 3)}; 0.5 is guessing, 1 is perfect.`,
    columns: [
      { key: 'false_positive', label: 'False positives', write: (value) => formatNumber(value, 3) },
      { key: 'true_positive', label: 'True positives', write: (value) => formatNumber(value, 3) },
    ],
    rows: view.roc.map(({ falsePositive, truePositive }) => ({ false_positive: falsePositive, true_positive: truePositive })),
  };
}
