import type { Estimate } from '../evals/condition.ts';

/** A number as it is written everywhere: so many decimals at most, a real minus sign. */
export function formatNumber(value: number, decimals = 2): string {
  if (!Number.isFinite(value)) return 'unknown';
  const text = value
    .toFixed(decimals)
    .replace(/(\.\d*?)0+$/, '$1')
    .replace(/\.$/, '');
  return text === '-0' ? '0' : text.replace('-', '−');
}

/** The same with its sign, for differences. */
export const formatSigned = (value: number, decimals = 2): string => {
  const text = formatNumber(value, decimals);
  return value > 0 && text !== '0' ? `+${text}` : text;
};

/** A multiple of a method's dose: doses of an eighth are common, and two decimals would make another number of them. */
export const formatDose = (value: number): string => formatNumber(value, 4);

export const formatPercent = (share: number, decimals = 0): string => `${formatNumber(100 * share, decimals)} %`;

/** Decimals at which a value of this size still says something: three significant digits, four decimals at most. */
export const decimalsFor = (size: number): number =>
  size === 0 || !Number.isFinite(size) ? 2 : Math.min(4, Math.max(0, 2 - Math.floor(Math.log10(Math.abs(size)))));

/** `0.42 (0.31 to 0.53)`: a value with its 95 % interval, to two digits of the interval's width. */
export function formatEstimate({ value, interval }: Pick<Estimate, 'value' | 'interval'>, signed = false): string {
  const width = Math.abs(interval[1] - interval[0]);
  const decimals = width > 0 && Number.isFinite(width) ? Math.min(4, Math.max(0, 1 - Math.floor(Math.log10(width)))) : decimalsFor(value);
  const write = (number: number): string => (signed ? formatSigned(number, decimals) : formatNumber(number, decimals));
  return `${write(value)} (${write(interval[0])} to ${write(interval[1])})`;
}
