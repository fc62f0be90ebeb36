import { TillerError } from '../errors/error.ts';
import { softplus } from '../stats/logistic.ts';
import type { Slice } from './direction.ts';

/**
 * The optimum of `logisticRegression` (statistics folder) where features are many: Newton's method whose steps are found by conjugate gradients, so that
 * no matrix of features times features is ever made. A step costs passes over the rows, 2,048 features of 5,000 rows take
 * seconds instead of many minutes. f64 sums over the f32 activations in place; the mean of each feature is taken off in thought, which with a
 * free intercept changes nothing but conditioning.
 */
export interface WideProblem {
  readonly slice: Slice;
  /** Rows that are fitted on, of both classes. */
  readonly rows: readonly number[];
  /** By row of the slice, 0 or 1. */
  readonly labels: ArrayLike<number>;
  /** Inverse strength of the penalty. */
  readonly C: number;
  readonly signal?: AbortSignal;
}

/** Largest gradient component, relative to the largest at zero coefficients, at which it is done: far below what a direction shows. */
const tolerance = 1e-7;
const newtonSteps = 60;
const gradientSteps = 300;

/** The weights; `converged` tells whether the tolerance was reached. @throws request/aborted */
export function wideLogistic(problem: WideProblem): { readonly weights: Float64Array; readonly converged: boolean } {
  const { rows, labels, C } = problem;
  const { width } = problem.slice;
  const matrix = new CentredRows(problem.slice, rows);
  const y = Float64Array.from(rows, (row) => labels[row]);
  // Coefficients, the intercept last.
  let point = new Float64Array(width + 1);
  let state = evaluate(matrix, y, point, C);
  const first = Math.max(1, largest(state.gradient));
  const goal = tolerance * first;
  for (let step = 0; step < newtonSteps && largest(state.gradient) > goal; step++) {
    if (problem.signal?.aborted) throw new TillerError('request/aborted');
    // The nearer the optimum, the finer the step: the forcing term of an inexact Newton method.
    const fineness = Math.min(0.1, Math.sqrt(largest(state.gradient) / first));
    const direction = conjugateGradients(matrix, state, C, fineness);
    const slope = dot(direction, state.gradient);
    let scale = 1;
    let next = state;
    let moved = point;
    for (; scale > 1e-10; scale /= 2) {
      const by = scale;
      moved = point.map((value, i) => value - by * direction[i]);
      next = evaluate(matrix, y, moved, C);
      // Near the optimum rounding hides the decrease.
      if (next.objective <= state.objective - 1e-4 * scale * slope + 1e-13 * Math.abs(state.objective)) break;
    }
    if (!(scale > 1e-10)) break;
    [point, state] = [moved, next];
  }
  return { weights: point.slice(0, width), converged: largest(state.gradient) <= goal };
}

/** Chosen rows less their mean, never written out. */
class CentredRows {
  readonly count: number;
  readonly width: number;
  private readonly mean: Float64Array;
  private readonly slice: Slice;
  private readonly rows: readonly number[];

  constructor(slice: Slice, rows: readonly number[]) {
    this.slice = slice;
    this.rows = rows;
    this.count = rows.length;
    this.width = slice.width;
    this.mean = new Float64Array(slice.width);
    const sum = this.weighted(new Float64Array(rows.length).fill(1 / rows.length));
    this.mean = sum.slice(0, slice.width);
  }

  /** x . v + v[width] of every row. */
  apply(v: Float64Array): Float64Array {
    const { data, stride, start } = this.slice;
    const out = new Float64Array(this.count);
    let shift = v[this.width];
    for (let i = 0; i < this.width; i++) shift -= this.mean[i] * v[i];
    for (let r = 0; r < this.count; r++) {
      const at = this.rows[r] * stride + start;
      let sum = 0;
      for (let i = 0; i < this.width; i++) sum += data[at + i] * v[i];
      out[r] = sum + shift;
    }
    return out;
  }

  /** Sum over rows of weight times (x, 1): width + 1 numbers. */
  weighted(weights: Float64Array): Float64Array {
    const { data, stride, start } = this.slice;
    const out = new Float64Array(this.width + 1);
    let total = 0;
    for (let r = 0; r < this.count; r++) {
      const at = this.rows[r] * stride + start;
      const weight = weights[r];
      total += weight;
      for (let i = 0; i < this.width; i++) out[i] += weight * data[at + i];
    }
    for (let i = 0; i < this.width; i++) out[i] -= total * this.mean[i];
    out[this.width] = total;
    return out;
  }

  /** Sum over rows of weight times the square of (x, 1). */
  weightedSquares(weights: Float64Array): Float64Array {
    const { data, stride, start } = this.slice;
    const out = new Float64Array(this.width + 1);
    for (let r = 0; r < this.count; r++) {
      const at = this.rows[r] * stride + start;
      for (let i = 0; i < this.width; i++) out[i] += weights[r] * (data[at + i] - this.mean[i]) ** 2;
      out[this.width] += weights[r];
    }
    return out;
  }
}

interface State {
  readonly objective: number;
  readonly gradient: Float64Array;
  /** C p (1 - p) of every row. */
  readonly curvature: Float64Array;
}

function evaluate(matrix: CentredRows, y: Float64Array, point: Float64Array, C: number): State {
  const scores = matrix.apply(point);
  const residual = new Float64Array(matrix.count);
  const curvature = new Float64Array(matrix.count);
  let loss = 0;
  scores.forEach((z, r) => {
    const p = 1 / (1 + Math.exp(-z));
    loss += softplus(y[r] === 1 ? -z : z);
    residual[r] = C * (p - y[r]);
    curvature[r] = C * p * (1 - p);
  });
  const gradient = matrix.weighted(residual);
  let penalty = 0;
  for (let i = 0; i < matrix.width; i++) {
    gradient[i] += point[i];
    penalty += point[i] ** 2;
  }
  return { objective: penalty / 2 + C * loss, gradient, curvature };
}

/** A solution of H d = gradient to a share of it, preconditioned by the diagonal of H. */
function conjugateGradients(matrix: CentredRows, { gradient, curvature }: State, C: number, share: number): Float64Array {
  const { width } = matrix;
  const hessianTimes = (v: Float64Array): Float64Array => {
    const out = matrix.weighted(matrix.apply(v).map((value, r) => value * curvature[r]));
    for (let i = 0; i < width; i++) out[i] += v[i];
    return out;
  };
  const diagonal = matrix.weightedSquares(curvature).map((value, i) => (i < width ? value + 1 : value + 1e-12 * C));
  const solution = new Float64Array(width + 1);
  const rest = gradient.slice();
  let preconditioned = rest.map((value, i) => value / diagonal[i]);
  let search = preconditioned.slice();
  let product = dot(rest, preconditioned);
  const enough = share ** 2 * product;
  for (let step = 0; step < gradientSteps && product > enough; step++) {
    const image = hessianTimes(search);
    const curve = dot(search, image);
    if (!(curve > 0)) break;
    const length = product / curve;
    for (let i = 0; i <= width; i++) {
      solution[i] += length * search[i];
      rest[i] -= length * image[i];
    }
    preconditioned = rest.map((value, i) => value / diagonal[i]);
    const next = dot(rest, preconditioned);
    const ratio = next / product;
    search = preconditioned.map((value, i) => value + ratio * search[i]);
    product = next;
  }
  return solution;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

const largest = (vector: Float64Array): number => vector.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
