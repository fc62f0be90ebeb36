import { TillerError } from '../errors/error.ts';
import { logisticRegression, type LogisticFit } from './logistic.ts';
import { mostSeeds, plainKernels, probeKernels, probeLayout, type ProbeKernels } from './probe-kernels.ts';
import { ProbeSolver } from './probe-solver.ts';

/** Logistic probes of many heads on the same labelled rows, several times with other masks. */
export interface ProbeProblem {
  /** rows x (heads * headDim), row-major. */
  readonly features: Float32Array;
  readonly heads: number;
  readonly headDim: number;
  /** 0 or 1 for each row. */
  readonly labels: ArrayLike<number>;
  /** One mask for each seed: not 0 for rows that are trained on. */
  readonly train: readonly ArrayLike<number>[];
  /** One mask for each seed: not 0 for rows that accuracy is counted on. May be all zeros. */
  readonly validation: readonly ArrayLike<number>[];
  /** Heads that are fitted, [first, end): so that several workers can share the work. @default all */
  readonly range?: readonly [first: number, end: number];
  /** Inverse strength of the penalty. @default 1, as scikit-learn */
  readonly C?: number;
  /** Coefficients may be off by this share of the largest; bounded from the last gradient. @default 1e-7 */
  readonly tolerance?: number;
  /** `plain` takes the loops without WebAssembly. @default auto */
  readonly kernels?: 'auto' | 'plain';
  readonly signal?: AbortSignal;
  /** Called as heads are done. */
  readonly onProgress?: (done: number, heads: number) => void;
}

/** Arrays over [seed][head of the range]. */
export interface Probes {
  readonly seeds: number;
  /** Heads of the range, and the first of them. */
  readonly heads: number;
  readonly first: number;
  readonly headDim: number;
  /** f64 [seed][head][headDim]. */
  readonly weights: Float64Array;
  readonly intercepts: Float64Array;
  /** Rows that are told right. Accuracy is this by `trainRows`. A score of 0 counts as label 0, as in scikit-learn. */
  readonly trainRight: Uint32Array;
  readonly validationRight: Uint32Array;
  /** By seed. */
  readonly trainRows: Uint32Array;
  readonly validationRows: Uint32Array;
  readonly iterations: Uint32Array;
  /** 1 where the optimum was reached within the tolerance. */
  readonly converged: Uint8Array;
  /** Largest component of the gradient at the end. */
  readonly gradients: Float64Array;
  /** What did the work; `plain` where WebAssembly with SIMD is missing or forbidden. */
  readonly kernels: 'wasm' | 'plain';
  /** Fits that the shared solver gave up and the Newton solver finished. */
  readonly finishedAlone: number;
}

/** Numbers of a head that are worked on between two looks at `signal`. */
const numbersPerTurn = 2 ** 21;

/**
 * The optimum of scikit-learn's LogisticRegression (L2, unpenalised intercept) for every head and seed. All seeds of a head are solved together: they share every
 * read of a row and one preconditioner (docs/decisions/probes.md).
 * @throws stats/argument, stats/rows, stats/one-class (a mask without one of the classes), stats/not-finite, request/aborted
 */
export async function fitProbes(problem: ProbeProblem): Promise<Probes> {
  const { features, headDim, labels, train, validation, C = 1, tolerance = 1e-7, signal, onProgress } = problem;
  check(problem);
  const [first, end] = problem.range ?? [0, problem.heads];
  const heads = end - first;
  const seeds = train.length;
  // Rows that no mask names are not even copied.
  const rows = Array.from({ length: labels.length }, (_, row) => row).filter(
    (row) => train.some((mask) => mask[row]) || validation.some((mask) => mask[row]),
  );
  const count = (mask: ArrayLike<number>): number => rows.reduce((sum, row) => sum + (mask[row] ? 1 : 0), 0);
  const fits = seeds * heads;
  const out = {
    seeds,
    heads,
    first,
    headDim,
    weights: new Float64Array(fits * headDim),
    intercepts: new Float64Array(fits),
    trainRight: new Uint32Array(fits),
    validationRight: new Uint32Array(fits),
    trainRows: Uint32Array.from(train, count),
    validationRows: Uint32Array.from(validation, count),
    iterations: new Uint32Array(fits),
    converged: new Uint8Array(fits),
    gradients: new Float64Array(fits),
  };
  const groups: { readonly from: number; readonly solver: ProbeSolver }[] = [];
  for (let from = 0; from < seeds; from += mostSeeds) {
    const masks = train.slice(from, from + mostSeeds);
    const layout = probeLayout(rows.length, headDim, masks.length);
    const kernels: ProbeKernels = problem.kernels === 'plain' ? plainKernels(layout) : await probeKernels(layout);
    const chosen = { labels: rows.map((row) => labels[row]), masks: masks.map((mask) => rows.map((row) => (mask[row] ? 1 : 0))) };
    groups.push({ from, solver: new ProbeSolver(kernels, chosen.labels, chosen.masks, C, tolerance) });
  }
  const rowIndices = Int32Array.from(rows);
  let finishedAlone = 0;
  let turn = 0;
  const stride = problem.heads * headDim;
  for (let h = 0; h < heads; h++) {
    turn += rows.length * headDim;
    if (turn > numbersPerTurn) {
      turn = 0;
      await new Promise((resolve) => setTimeout(resolve));
    }
    if (signal?.aborted) throw new TillerError('request/aborted');
    const start = (first + h) * headDim;
    for (const { from, solver } of groups) {
      solver.load(features, rowIndices, stride, start);
      solver.solve();
      for (let s = 0; s < solver.seeds; s++) {
        const to = (from + s) * heads + h;
        const shared = solver.result(s);
        const fit = shared.converged ? shared : alone(problem, stride, start, train[from + s]);
        if (!shared.converged) finishedAlone++;
        out.weights.set(fit.weights, to * headDim);
        out.intercepts[to] = fit.intercept;
        out.iterations[to] = fit.iterations;
        out.converged[to] = fit.converged ? 1 : 0;
        out.gradients[to] = fit.gradient;
        const told = shared.converged ? shared.told : tell(features, stride, start, rows, fit);
        let [right, validationRight] = [0, 0];
        for (let i = 0; i < rows.length; i++) {
          const correct = told(i) === (labels[rows[i]] === 1);
          if (correct && train[from + s][rows[i]]) right++;
          if (correct && validation[from + s][rows[i]]) validationRight++;
        }
        out.trainRight[to] = right;
        out.validationRight[to] = validationRight;
      }
    }
    onProgress?.(h + 1, heads);
  }
  return { ...out, kernels: groups[0].solver.kind, finishedAlone };
}

/** What the shared solver gave up, by Newton's method. */
function alone({ features, headDim, labels, C }: ProbeProblem, stride: number, start: number, mask: ArrayLike<number>): LogisticFit {
  const rows = Array.from({ length: labels.length }, (_, row) => row).filter((row) => mask[row]);
  return logisticRegression({ features, width: headDim, stride, start, labels, rows, C });
}

/** Which class a fit gives to the i-th of `rows`. */
function tell(
  features: Float32Array,
  stride: number,
  start: number,
  rows: readonly number[],
  { weights, intercept }: { readonly weights: Float64Array; readonly intercept: number },
): (i: number) => boolean {
  return (i) => {
    const at = rows[i] * stride + start;
    return weights.reduce((sum, weight, k) => sum + weight * features[at + k], intercept) > 0;
  };
}

function check({ features, heads, headDim, labels, train, validation, range, C = 1, tolerance = 1e-7 }: ProbeProblem): void {
  const refuse = (problem: string): never => {
    throw new TillerError('stats/argument', { problem });
  };
  const rows = labels.length;
  if (!(Number.isInteger(heads) && heads >= 1 && Number.isInteger(headDim) && headDim >= 1)) refuse(`${heads} heads of ${headDim} numbers`);
  if (features.length !== rows * heads * headDim)
    refuse(`${features.length} numbers are not ${rows} rows of ${heads} heads with ${headDim} numbers`);
  if (train.length < 1 || train.length !== validation.length) refuse(`${train.length} training and ${validation.length} validation masks`);
  if (range && !(Number.isInteger(range[0]) && Number.isInteger(range[1]) && 0 <= range[0] && range[0] < range[1] && range[1] <= heads))
    refuse(`heads ${range[0]} to ${range[1]} of ${heads}`);
  if (!(C > 0 && C < Infinity)) refuse(`C is ${C}, not a positive number`);
  if (!(tolerance > 0)) refuse(`the tolerance is ${tolerance}, not a positive number`);
  for (let row = 0; row < rows; row++)
    if (labels[row] !== 0 && labels[row] !== 1) refuse(`the label of row ${row} is ${labels[row]}, not 0 or 1`);
  [...train, ...validation].forEach((mask) => {
    if (mask.length !== rows) refuse(`a mask of ${mask.length} for ${rows} rows`);
  });
  for (const mask of train) {
    let [positive, negative] = [0, 0];
    for (let row = 0; row < rows; row++)
      if (mask[row]) {
        if (labels[row] === 1) positive++;
        else negative++;
      }
    if (positive + negative < 2) throw new TillerError('stats/rows', { what: 'a probe', needed: 2, got: positive + negative });
    if (positive === 0 || negative === 0) throw new TillerError('stats/one-class', { what: 'a probe', positive, negative });
  }
}
