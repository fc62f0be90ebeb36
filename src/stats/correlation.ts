import { TillerError } from '../errors/error.ts';
import { mean } from './moments.ts';

/**
 * Pearson's r; null where one side does not vary, because then there is none.
 * @throws stats/argument for unequal lengths, stats/rows for fewer than two pairs
 */
export function pearson(x: ArrayLike<number>, y: ArrayLike<number>): number | null {
  if (x.length !== y.length) throw new TillerError('stats/argument', { problem: `${x.length} numbers cannot be paired with ${y.length}` });
  if (x.length < 2) throw new TillerError('stats/rows', { what: 'a correlation', needed: 2, got: x.length });
  const [meanX, meanY] = [mean(x), mean(y)];
  let [xx, yy, xy] = [0, 0, 0];
  for (let i = 0; i < x.length; i++) {
    const [dx, dy] = [x[i] - meanX, y[i] - meanY];
    xx += dx * dx;
    yy += dy * dy;
    xy += dx * dy;
  }
  const size = Math.sqrt(xx) * Math.sqrt(yy);
  return size > 0 ? Math.max(-1, Math.min(1, xy / size)) : null;
}
