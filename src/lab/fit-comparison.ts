import type { FitReport, SweepPoint } from '../fit/report.ts';
import type { Cell, DataTable } from './data-table.ts';
import { placesName, type FitResult } from './fit-result.ts';
import { formatDose, formatNumber } from './format-number.ts';
import { placeName } from './place-text.ts';

/** The same recipe on two models, told from what each fit left. */
export interface ComparedFit {
  readonly label: string;
  readonly report: FitReport;
  /** The recommended point; null where nothing is recommended. */
  readonly point: SweepPoint | null;
  /** Places that the graph steers, the best first, as `2.3` (layer.head) or `layer 2`. */
  readonly places: readonly string[];
}

export interface FitComparison {
  readonly sides: readonly [ComparedFit, ComparedFit];
  readonly notes: readonly string[];
}

const comparedFit = ({ modelLabel, outcome }: FitResult): ComparedFit => {
  const { report, fitted } = outcome;
  const recommended = report.recommended === null ? null : (report.sweep[report.recommended] ?? null);
  const point = recommended && recommended.strength !== 0 ? recommended : null;
  return {
    label: modelLabel,
    report,
    point,
    places: report.method.places
      .slice(0, point?.count ?? fitted.chosen)
      .map((place) => (place.head === undefined || place.element !== undefined ? placeName(place) : `${place.layer}.${place.head}`)),
  };
};

const without = ({ sweep, ...recipe }: FitReport['recipe']): string => JSON.stringify({ ...recipe, sweep: sweep && sweep.effect });

/** @param before the fit on the model that was left */
export function compareFits(before: FitResult, now: FitResult): FitComparison {
  const notes: string[] = [];
  if (before.set.sha256 !== now.set.sha256) notes.push('The examples differ.');
  if (without(before.outcome.report.recipe) !== without(now.outcome.report.recipe)) notes.push('The recipes differ.');
  const [a, b] = [before.outcome.report, now.outcome.report];
  if (a.effectUnit !== b.effectUnit)
    notes.push(`Effects are in different units (${a.effectUnit || 'none'} and ${b.effectUnit || 'none'}): compare signs, not sizes.`);
  if (before.identity === now.identity) notes.push(sameWeights(a, b));
  else if (placesName(a.method.places) === 'heads')
    notes.push('Heads of the same number are different heads: a model has its own. Costs are in nats a token of that model.');
  return { sides: [comparedFit(before), comparedFit(now)], notes };
}

const number = (value: number): string => formatNumber(value, 3);

/** The same weights in two places should give the same numbers. */
function sameWeights(before: FitReport, now: FitReport): string {
  const gaps = now.sweep.flatMap(({ strength, layer, count, gain }) => {
    const other = before.sweep.find((point) => point.strength === strength && point.layer === layer && point.count === count);
    return other && strength !== 0 ? [Math.abs(gain.value - other.gain.value)] : [];
  });
  if (gaps.length === 0) return 'The weights are the same.';
  const gap = Math.max(...gaps);
  if (gap === 0) return 'The weights are the same, and so are the gains of all conditions that both tried.';
  const apart = gap < 0.001 ? `less than 0.001 ${now.effectUnit}` : `${number(gap)} ${now.effectUnit} at most`;
  return `The weights are the same; gains of the conditions that both tried differ by ${apart} (other arithmetic rounds otherwise).`;
}

/** Every condition of both sweeps and both tests, one a row. */
export function fitsTable({ sides, notes }: FitComparison): DataTable {
  const rows = sides.flatMap(({ label, report, places }) => {
    const cells = (
      part: string,
      condition: string,
      { effect, gain, damage }: Pick<SweepPoint, 'effect' | 'gain' | 'damage'>,
    ): Record<string, Cell> => ({
      model: label,
      part,
      condition,
      effect: effect.value,
      gain: gain.value,
      gain_low: gain.interval[0],
      gain_high: gain.interval[1],
      kl: damage.kl.value,
      kl_low: damage.kl.interval[0],
      kl_high: damage.kl.interval[1],
      recommended: false,
      places: null,
    });
    return [
      ...report.sweep.map((point, index) => ({
        ...cells('sweep', point.strength === 0 ? 'unedited' : `×${formatDose(point.strength)}, ${point.count}`, point),
        recommended: index === report.recommended,
        places: index === report.recommended && point.strength !== 0 ? places.join(' ') : null,
      })),
      ...report.test.map((row) => cells('test', row.name, row)),
    ];
  });
  return {
    name: 'two-fits',
    caption: `${sides.map(describeSide).join(' ')} ${notes.join(' ')}`.trim(),
    columns: [
      { key: 'model', label: 'Model' },
      { key: 'part', label: 'Rows' },
      { key: 'condition', label: 'Condition' },
      { key: 'effect', label: 'Effect', write: number },
      { key: 'gain', label: 'Gain', write: number },
      { key: 'gain_low', label: 'from', write: number },
      { key: 'gain_high', label: 'to', write: number },
      { key: 'kl', label: 'KL, nats a token', write: number },
      { key: 'kl_low', label: 'from', write: number },
      { key: 'kl_high', label: 'to', write: number },
      { key: 'recommended', label: 'Recommended' },
      { key: 'places', label: 'Places' },
    ],
    rows,
  };
}

/** What a fit came to, one sentence. */
export function describeSide({ label, point, report }: ComparedFit): string {
  if (report.sweep.length === 0) return `${label}: nothing was measured.`;
  if (!point) return `${label}: nothing that was tried is worth its cost.`;
  const names = placesName(report.method.places);
  const places = point.count === 1 ? names.replace(/s$/, '') : names;
  return `${label}: ${point.count} ${places} at ×${formatDose(point.strength)} gain ${number(point.gain.value)} for ${number(point.damage.kl.value)} nats a token.`;
}
