import type { SweepPoint } from '../fit/report.ts';
import { formatStrength } from './experiment.ts';
import { decimalsFor, formatEstimate, formatNumber, formatSigned } from './format-number.ts';

/** A point of a sweep in one line. @param placesName `heads`, `layers`, ... */
export function describePoint(point: SweepPoint, unit: string, placesName: string): string {
  const { strength, count, effect, gain, damage } = point;
  const write = (value: number): string => formatNumber(value, decimalsFor(effect.value));
  if (strength === 0) return `Unedited: effect ${formatEstimate(effect, write)} ${unit}, no cost.`;
  const signed = (value: number): string => formatSigned(value, decimalsFor(gain.value));
  const cost = (value: number): string => formatNumber(value, decimalsFor(damage.kl.value));
  return `Strength ×${formatStrength(strength)}, ${count} ${placesName}: gain ${formatEstimate(gain, signed)} ${unit}, KL ${formatEstimate(damage.kl, cost)} nats a token.`;
}
