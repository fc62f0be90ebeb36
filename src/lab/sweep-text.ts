import type { SweepPoint } from '../fit/report.ts';
import { formatDose, formatEstimate } from './format-number.ts';

/** A point of a sweep in one line. @param placesName `heads`, `layers`, ... */
export function describePoint(point: SweepPoint, unit: string, placesName: string): string {
  const { strength, count, effect, gain, damage } = point;
  if (strength === 0) return `Unedited: effect ${formatEstimate(effect)} ${unit}, no cost.`;
  return `Strength ×${formatDose(strength)}, ${count} ${count === 1 ? placesName.replace(/s$/, '') : placesName}: gain ${formatEstimate(gain, true)} ${unit}, KL ${formatEstimate(damage.kl)} nats a token.`;
}
