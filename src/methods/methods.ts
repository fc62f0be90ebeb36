import { TillerError } from '../errors/error.ts';
import { ablation } from './ablation.ts';
import { actadd } from './actadd.ts';
import { cap, clamp } from './bounds.ts';
import { caa } from './caa.ts';
import { cast } from './cast.ts';
import { iti } from './iti.ts';
import { logistic } from './logistic-direction.ts';
import { meanDifference } from './mean-difference.ts';
import type { Method } from './method.ts';
import { pca } from './pca.ts';
import { sadi } from './sadi.ts';

/** Every method: command line, page and documentation derive from this table. */
export const methods: readonly Method[] = [iti, caa, actadd, meanDifference, logistic, pca, sadi, ablation, cast, cap, clamp];

const byName = new Map(methods.map((method) => [method.name, method]));

/** @throws method/unknown */
export function methodNamed(name: string): Method {
  const method = byName.get(name);
  if (!method) throw new TillerError('method/unknown', { name: name.slice(0, 100), known: [...byName.keys()].join(', ') });
  return method;
}
