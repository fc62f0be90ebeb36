import { choiceMetrics } from '../src/evals/multiple-choice.ts';
import type { FitReport, TestRow } from '../src/fit/report.ts';
import { mean, standardDeviation } from '../src/stats/moments.ts';
import { table } from './estimates.ts';

/** A number over several seeds: what another split and other lots make of it. */
export interface OverSeeds {
  readonly mean: number;
  /** Of a sample (ddof 1); null for one seed. */
  readonly standardDeviation: number | null;
  readonly seeds: number;
}

const over = (values: readonly number[]): OverSeeds => ({
  mean: mean(values),
  standardDeviation: values.length > 1 ? standardDeviation(values, 1) : null,
  seeds: values.length,
});

const quantities: Readonly<Record<string, (row: TestRow) => number | undefined>> = {
  effect: ({ effect }) => effect.value,
  gain: ({ gain }) => gain.value,
  kl: ({ damage }) => damage.kl.value,
  crossEntropyRise: ({ damage }) => damage.crossEntropyRise.value,
  ...Object.fromEntries(choiceMetrics.map((metric) => [metric, ({ multipleChoice }: TestRow) => multipleChoice?.[metric].value])),
};

/** Mean and standard deviation over seeds of every quantity of every condition on test rows, by condition. */
export function overSeeds(reports: readonly FitReport[]): Record<string, Record<string, OverSeeds>> {
  const names = [...new Set(reports.flatMap(({ test }) => test.map(({ name }) => name)))];
  return Object.fromEntries(
    names.map((name) => {
      const rows = reports.flatMap(({ test }) => test.filter((row) => row.name === name));
      const entries = Object.entries(quantities).flatMap(([key, of]) => {
        const values = rows.flatMap((row) => of(row) ?? []);
        return values.length > 0 ? [[key, over(values)] as const] : [];
      });
      return [name, Object.fromEntries(entries)];
    }),
  );
}

export function showSeeds(reports: readonly FitReport[]): string {
  const summary = overSeeds(reports);
  const columns = Object.keys(quantities).filter((key) => Object.values(summary).some((row) => Object.hasOwn(row, key)));
  const cell = (one: OverSeeds | undefined): string =>
    one ? `${one.mean.toFixed(3)} ± ${one.standardDeviation?.toFixed(3) ?? '-'} (${one.seeds})` : '';
  const rows = Object.entries(summary).map(([name, row]) => [name, ...columns.map((key) => cell(row[key]))]);
  return `\ntest, mean ± standard deviation over seeds (number of seeds)\n${table([['', ...columns], ...rows])}`;
}
