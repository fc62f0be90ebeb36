import { count, dose, hold, layer, multiplier, point, tokens } from './common-settings.ts';
import { project, type Slice } from './direction.ts';
import { capturesOf, fitAdditions, type Estimate, type TrainingRows } from './direction-fit.ts';
import type { Method } from './method.ts';
import { firstComponent } from './component.ts';
import { readRows } from './settings.ts';

/**
 * The first principal component of contrasting pairs: of the differences of pairs, or of both sides of each pair after its midpoint was
 * subtracted. A component has no sign of its own; it gets that of the majority of pairs. RepE takes differences in random order, whose mean
 * is about 0, so nothing is subtracted unless asked for.
 */

const name = 'pca';
const rows = {
  of: {
    kind: 'choice',
    default: 'difference',
    options: ['difference', 'center'],
    doc: "difference: of wanted minus unwanted (repeng's pca_diff); center: of both, each pair around its midpoint (pca_center)",
  },
  subtractMean: {
    kind: 'flag',
    default: false,
    doc: 'subtract the mean of the rows first, as repeng does through scikit-learn: with `difference` that takes away what all pairs share, and with `center` it changes nothing',
  },
  point,
  layer,
  count,
  hold,
  dose: { ...dose, doc: `${dose.doc}; published is unit` },
  multiplier,
  tokens: { ...tokens, default: 'all', doc: `${tokens.doc}; as published all` },
} as const satisfies Method['settings'];

/** Component of the pairs of `rows`, pointing to the wanted side in most pairs; null where there is none. */
export function pairedComponent(
  slice: Slice,
  { pairs }: TrainingRows,
  of: 'difference' | 'center',
  subtractMean: boolean,
): Estimate | null {
  const { data, stride, start, width } = slice;
  const perPair = of === 'difference' ? 1 : 2;
  const matrix = new Float64Array(pairs.length * perPair * width);
  pairs.forEach(({ positive, negative }, index) => {
    const [a, b] = [positive * stride + start, negative * stride + start];
    for (let i = 0; i < width; i++) {
      const difference = data[a + i] - data[b + i];
      const at = index * perPair * width + i;
      matrix[at] = of === 'difference' ? difference : difference / 2;
      if (of === 'center') matrix[at + width] = -difference / 2;
    }
  });
  const component = firstComponent(matrix, pairs.length * perPair, width, subtractMean);
  if (!component) return null;
  const positive = project(
    slice,
    pairs.map((pair) => pair.positive),
    component.direction,
  );
  const negative = project(
    slice,
    pairs.map((pair) => pair.negative),
    component.direction,
  );
  let votes = 0;
  positive.forEach((value, i) => (votes += Math.sign(value - negative[i])));
  return { direction: votes < 0 ? component.direction.map((value) => -value) : component.direction, explained: component.explained };
}

export const pca: Method = {
  name,
  title: 'PCA of pairs (RepE)',
  what: 'Adds the first principal component of contrasting pairs.',
  source: 'Zou et al. 2023, Representation Engineering; the forms are those of the library repeng',
  needs: 'pairs',
  settings: rows,
  captures: (given, shape) => {
    const settings = readRows(name, rows, given);
    return capturesOf(name, settings.point, settings.layer, shape);
  },
  fit: async (data, given, context) => {
    const settings = readRows(name, rows, given);
    return fitAdditions(data, context, {
      ...settings,
      method: name,
      graphName: `principal component of pairs at ${settings.point}`,
      settings,
      needs: 'pairs',
      estimate: (slice, train) => pairedComponent(slice, train, settings.of, settings.subtractMean),
    });
  },
};
