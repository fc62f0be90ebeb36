import type { PlaceScore } from '../methods/method.ts';
import { decimalsFor, formatNumber, formatPercent } from './format-number.ts';

/** Where a place is: `layer 3, head 1`, `layer 3`, `layer 3, element 120`. */
export function placeName({ layer, head, element }: Pick<PlaceScore, 'layer' | 'head' | 'element'>): string {
  return [`layer ${layer}`, head !== undefined && `head ${head}`, element !== undefined && `element ${element}`].filter(Boolean).join(', ');
}

/** What was found there, in one line. */
export function describePlace(place: PlaceScore, scoreName: string, rank: number, chosen: boolean): string {
  const { accuracy, interval, count, score } = place;
  const of = count === undefined ? '' : ` of ${count} rows`;
  const found =
    accuracy !== undefined
      ? `${formatPercent(accuracy)}${of} told apart${interval ? `, 95 % interval ${formatPercent(interval[0])} to ${formatPercent(interval[1])}` : ''}`
      : `${scoreName} ${formatNumber(score, decimalsFor(score))}`;
  return `${placeName(place)}: ${found}. Rank ${rank}${chosen ? ', used' : ', not used'}.`;
}
