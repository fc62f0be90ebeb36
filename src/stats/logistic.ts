import { TillerError } from '../errors/error.ts';
import { choleskyFactor, choleskySolve } from './cholesky.ts';

/** Rows that a regression is fitted on: columns [start, start + width) of row-major numbers. */
export interface LogisticProblem {
  readonly features: Float32Array;
  /** Features of a row that are used. */
  readonly width: number;
  /** Numbers from a row to the next. @default width */
  readonly stride?: number;
  /** @default 0 */
  readonly start?: number;
  /** One 0 or 1 for each row of `features`. */
  readonly labels: ArrayLike<number>;
  /** Rows that are fitted on. @default all */
  readonly rows?: ArrayLike<number>;
  /** Inverse strength of the penalty. @default 1, as scikit-learn */
  readonly C?: number;
  /** Largest gradient component at which it is done, relative to the largest at zero coefficients (or to 1). @default 1e-10 */
  readonly tolerance?: number;
  /** Newton steps. @default 100 */
  readonly maxIterations?: number;
}

/** p(1) = sigmoid(x . weights + intercept). */
export interface LogisticFit {
  readonly weights: Float64Array;
  readonly intercept: number;
  /** |weights|^2 / 2 + C * sum of log losses (natural logarithm): what scikit-learn minimises. */
  readonly objective: number;
  /** Largest component of the objective's gradient. */
  readonly gradient: number;
  readonly iterations: number;
  /** Whether the gradient fell below the tolerance. */
  readonly converged: boolean;
}

/** ln(1 + e^t) without overflow. */
export const softplus = (t: number): number => (t > 0 ? t + Math.log1p(Math.exp(-t)) : Math.log1p(Math.exp(t)));

/**
 * L2-penalised logistic regression with an unpenalised intercept and unscaled features, by Newton's method with step halving, all in f64. The penalty
 * makes the optimum unique and finite as long as both classes are there; constant features get the coefficient 0.
 * @throws stats/rows, stats/one-class, stats/not-finite, stats/argument
 */
export function logisticRegression(problem: LogisticProblem): LogisticFit {
  const { x, y, n, width, C } = prepare(problem);
  const { tolerance = 1e-10, maxIterations = 100 } = problem;
  const size = width + 1;
  let point = new Float64Array(size);
  let next = new Float64Array(size);
  const gradient = new Float64Array(size);
  const hessian = new Float64Array(size * size);
  const scores = new Float64Array(n);

  const objectiveAt = (at: Float64Array): number => {
    let [penalty, loss] = [0, 0];
    for (let i = 0; i < width; i++) penalty += at[i] * at[i];
    for (let r = 0; r < n; r++) {
      let z = at[width];
      for (let i = 0; i < width; i++) z += x[r * width + i] * at[i];
      scores[r] = z;
      loss += softplus(y[r] === 1 ? -z : z);
    }
    return penalty / 2 + C * loss;
  };

  let objective = objectiveAt(point);
  let goal = Infinity;
  let largest: number;
  let before = Infinity;
  let iterations = 0;
  for (; ; iterations++) {
    derivatives(x, y, scores, point, width, C, gradient, hessian);
    largest = gradient.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    if (iterations === 0) goal = tolerance * Math.max(1, largest);
    const step = newtonStep(hessian, gradient, size);
    const slope = step.reduce((sum, value, i) => sum + value * gradient[i], 0);
    // The curvature is at least 1 in every weight, so the weights are off by no more than the root of the slope.
    const near = slope <= 1e-18 * point.reduce((sum, value, i) => (i < width ? sum + value * value : sum), 0);
    if (iterations === maxIterations || (largest <= goal && (near || largest > before / 2))) break;
    before = largest;
    let scale = 1;
    let found = Infinity;
    for (; scale > 1e-12; scale /= 2) {
      for (let i = 0; i < size; i++) next[i] = point[i] - scale * step[i];
      found = objectiveAt(next);
      // Near the optimum rounding hides the decrease; the gradient decides there.
      if (found <= objective - 1e-4 * scale * slope + 1e-13 * Math.abs(objective)) break;
    }
    if (!(scale > 1e-12)) {
      objectiveAt(point);
      break;
    }
    [point, next] = [next, point];
    objective = found;
  }
  return { ...uncentred(point, width, problem, n), objective, gradient: largest, iterations, converged: largest <= goal };
}

/** Chosen rows in f64, each feature less its mean: with a free intercept that changes nothing but rounding. */
function prepare(problem: LogisticProblem) {
  const { features, width, stride = width, start = 0, labels, C = 1 } = problem;
  const total = labels.length;
  const rows = problem.rows ?? Array.from({ length: total }, (_, row) => row);
  const n = rows.length;
  if (!(Number.isInteger(width) && width >= 1 && start >= 0 && start + width <= stride && features.length >= total * stride))
    throw new TillerError('stats/argument', {
      problem: `${features.length} numbers are not ${total} rows of ${stride} with columns ${start} to ${start + width}`,
    });
  if (!(C > 0 && C < Infinity)) throw new TillerError('stats/argument', { problem: `C is ${C}, not a positive number` });
  if (n < 2) throw new TillerError('stats/rows', { what: 'a logistic regression', needed: 2, got: n });
  const y = new Uint8Array(n);
  const x = new Float64Array(n * width);
  const means = columnMeans(problem, rows);
  let positive = 0;
  for (let r = 0; r < n; r++) {
    const row = rows[r];
    const label = labels[row];
    if (label !== 0 && label !== 1) throw new TillerError('stats/argument', { problem: `the label of row ${row} is ${label}, not 0 or 1` });
    y[r] = label;
    positive += label;
    for (let i = 0; i < width; i++) x[r * width + i] = features[row * stride + start + i] - means[i];
  }
  if (positive === 0 || positive === n)
    throw new TillerError('stats/one-class', { what: 'a logistic regression', positive, negative: n - positive });
  return { x, y, n, width, C };
}

function columnMeans({ features, width, stride = width, start = 0 }: LogisticProblem, rows: ArrayLike<number>): Float64Array {
  const means = new Float64Array(width);
  for (let r = 0; r < rows.length; r++) for (let i = 0; i < width; i++) means[i] += features[rows[r] * stride + start + i];
  for (let i = 0; i < width; i++) {
    means[i] /= rows.length;
    if (!Number.isFinite(means[i])) throw new TillerError('stats/not-finite', { what: `feature ${start + i}` });
  }
  return means;
}

function uncentred(point: Float64Array, width: number, problem: LogisticProblem, n: number) {
  const rows = problem.rows ?? Array.from({ length: n }, (_, row) => row);
  const means = columnMeans(problem, rows);
  const weights = point.slice(0, width);
  return { weights, intercept: weights.reduce((b, weight, i) => b - weight * means[i], point[width]) };
}

function derivatives(
  x: Float64Array,
  y: Uint8Array,
  scores: Float64Array,
  point: Float64Array,
  width: number,
  C: number,
  gradient: Float64Array,
  hessian: Float64Array,
): void {
  const size = width + 1;
  gradient.fill(0);
  hessian.fill(0);
  for (let r = 0; r < y.length; r++) {
    // p - y and p(1 - p) from the small side: near 1, p itself has no digits left for 1 - p.
    const wrong = 1 / (1 + Math.exp(y[r] === 1 ? scores[r] : -scores[r]));
    const residual = C * (y[r] === 1 ? -wrong : wrong);
    const weight = C * wrong * (1 / (1 + Math.exp(y[r] === 1 ? -scores[r] : scores[r])));
    const row = r * width;
    for (let i = 0; i < width; i++) {
      const scaled = weight * x[row + i];
      gradient[i] += residual * x[row + i];
      const at = i * size;
      for (let j = 0; j <= i; j++) hessian[at + j] += scaled * x[row + j];
      hessian[width * size + i] += scaled;
    }
    gradient[width] += residual;
    hessian[width * size + width] += weight;
  }
  for (let i = 0; i < width; i++) {
    gradient[i] += point[i];
    hessian[i * size + i] += 1;
  }
}

/** Hessian^-1 gradient. Far out, where every p is 0 or 1 in f64, the intercept has no curvature left: a little is lent. */
function newtonStep(hessian: Float64Array, gradient: Float64Array, size: number): Float64Array {
  const step = gradient.slice();
  for (let lent = 0; ; lent = Math.max(1e-10, lent * 100)) {
    const factor = hessian.slice();
    const trace = factor.reduce((sum, value, at) => (at % (size + 1) === 0 ? sum + value : sum), 0);
    for (let i = 0; i < size; i++) factor[i * size + i] += lent * trace;
    if (!choleskyFactor(factor, size)) {
      if (lent > 1e6) throw new TillerError('stats/not-finite', { what: 'the curvature of a logistic regression' });
      continue;
    }
    choleskySolve(factor, size, step);
    return step;
  }
}
