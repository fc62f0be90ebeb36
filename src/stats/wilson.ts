import { TillerError } from '../errors/error.ts';

/** Of the standard normal distribution: 95 % lie within this of 0. */
const z95 = 1.959963984540054;

/**
 * Wilson's score interval of a share, 95 % unless another z is given. Unlike the normal one it is right at 0 and at 1.
 * @throws stats/argument unless 0 <= right <= count and count > 0
 */
export function wilsonInterval(right: number, count: number, z = z95): [low: number, high: number] {
  if (!(count > 0 && right >= 0 && right <= count))
    throw new TillerError('stats/argument', { problem: `${right} of ${count} is no share` });
  const p = right / count;
  const denominator = 1 + (z * z) / count;
  const centre = (p + (z * z) / (2 * count)) / denominator;
  const half = (z / denominator) * Math.sqrt((p * (1 - p)) / count + (z * z) / (4 * count * count));
  return [right === 0 ? 0 : Math.max(0, centre - half), right === count ? 1 : Math.min(1, centre + half)];
}
