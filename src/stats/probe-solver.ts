import { TillerError } from '../errors/error.ts';
import { choleskyFactor, choleskySolve } from './cholesky.ts';
import { blockRows, gramTiles, type ProbeKernels } from './probe-kernels.ts';

/** Passes over the rows before a seed is given up. */
const mostPasses = 60;
/** Pairs of steps and gradient changes that are remembered. */
const memory = 8;
/** A preconditioner is used for so many passes at least: making it costs as much as one. */
const freshPasses = 3;
/** A gradient that shrinks less than this a pass means that the preconditioner is stale. */
const slow = 0.25;

/** One seed on its way to the optimum of one head. */
interface Descent {
  /** Where the gradient was taken last: weights and intercept. */
  point: Float64Array;
  gradient: Float64Array;
  /** Where to, and how far along it the next gradient is taken. */
  direction: Float64Array;
  scale: number;
  /** Slope along `direction` at `point`. */
  slope: number;
  /** Length of the gradient in the metric of the preconditioner, squared, now and before. */
  size: number;
  sizeBefore: number;
  largest: number;
  done: boolean;
  lost: boolean;
  passes: number;
  pairs: { readonly step: Float64Array; readonly change: Float64Array; readonly product: number }[];
}

export interface ProbeFit {
  readonly weights: Float64Array;
  readonly intercept: number;
  readonly gradient: number;
  readonly iterations: number;
  readonly converged: boolean;
  /** Whether the i-th row is given label 1. */
  readonly told: (i: number) => boolean;
}

/**
 * Probes of one head for all seeds of a group: limited-memory BFGS whose starting matrix is the inverse of a Hessian that all seeds share, made anew
 * when they have come so far that it is stale. The objective is scikit-learn's, |weights|^2 / 2 + C * log losses.
 */
export class ProbeSolver {
  readonly seeds: number;
  readonly kind: ProbeKernels['kind'];
  readonly #kernels: ProbeKernels;
  readonly #c: number;
  readonly #tolerance: number;
  readonly #size: number;
  readonly #features: Float32Array;
  readonly #weights: Float64Array;
  readonly #scores: Float64Array;
  readonly #residuals: Float64Array;
  readonly #sums: Float64Array;
  readonly #rowWeights: Float32Array;
  readonly #gram: Float32Array;
  readonly #signed: Float64Array;
  readonly #tiles: ReturnType<typeof gramTiles>;
  readonly #factor: Float64Array;
  readonly #means: Float64Array;
  #descents: Descent[] = [];

  /**
   * @param labels 0 or 1 of each row
   * @param masks of each seed, 1 for rows that are trained on
   */
  constructor(kernels: ProbeKernels, labels: readonly number[], masks: readonly (readonly number[])[], c: number, tolerance: number) {
    const { layout, buffer } = kernels;
    const { size, seeds, paddedRows, paddedSize, at } = layout;
    const f64 = (offset: number, length: number): Float64Array => new Float64Array(buffer, offset, length);
    this.#kernels = kernels;
    this.kind = kernels.kind;
    this.seeds = seeds;
    this.#c = c;
    this.#tolerance = tolerance;
    this.#size = size;
    this.#features = new Float32Array(buffer, at.features, paddedRows * paddedSize);
    this.#weights = f64(at.weights, size * seeds);
    this.#scores = f64(at.scores, seeds * paddedRows);
    this.#residuals = f64(at.residuals, seeds * paddedRows);
    this.#sums = f64(at.gradient, 2 * size * seeds);
    this.#rowWeights = new Float32Array(buffer, at.rowWeights, paddedRows);
    this.#tiles = gramTiles(paddedSize);
    this.#gram = new Float32Array(buffer, at.gram, 32 * this.#tiles.length);
    this.#signed = f64(at.signed, seeds * paddedRows);
    this.#factor = new Float64Array(size * size);
    this.#means = new Float64Array(size - 1);
    const sign = f64(at.sign, paddedRows);
    labels.forEach((label, row) => {
      sign[row] = 1 - 2 * label;
      masks.forEach((mask, seed) => (this.#signed[seed * paddedRows + row] = mask[row] * sign[row]));
    });
  }

  /**
   * Takes a head's rows, each feature less its mean (with a free intercept that changes nothing but rounding).
   * @throws stats/not-finite
   */
  load(features: Float32Array, rows: Int32Array, stride: number, start: number): void {
    const { paddedSize, blocks } = this.#kernels.layout;
    const width = this.#size - 1;
    const means = this.#means.fill(0);
    for (const row of rows) {
      const from = row * stride + start;
      for (let k = 0; k < width; k++) means[k] += features[from + k];
    }
    for (let k = 0; k < width; k++) {
      means[k] /= rows.length;
      if (!Number.isFinite(means[k])) throw new TillerError('stats/not-finite', { what: `feature ${start + k}` });
    }
    const to = this.#features;
    for (let block = 0; block < blocks; block++) {
      const base = block * blockRows * paddedSize;
      const count = Math.min(blockRows, rows.length - block * blockRows);
      // Sixteen rows at a time: what is written fills cache lines.
      for (let i0 = 0; i0 < count; i0 += 16) {
        const end = Math.min(i0 + 16, count);
        for (let k = 0; k < width; k++) {
          const mean = means[k];
          const line = base + k * blockRows;
          for (let i = i0; i < end; i++) to[line + i] = features[rows[block * blockRows + i] * stride + start + k] - mean;
        }
      }
      to.fill(1, base + width * blockRows, base + width * blockRows + count);
    }
  }

  /** From zero to the optimum of every seed, or as near as it gets. */
  solve(): void {
    const size = this.#size;
    this.#descents = Array.from({ length: this.seeds }, () => ({
      point: new Float64Array(size),
      gradient: new Float64Array(size),
      direction: new Float64Array(size),
      scale: 0,
      slope: 0,
      size: Infinity,
      sizeBefore: Infinity,
      largest: Infinity,
      done: false,
      lost: false,
      passes: 0,
      pairs: [],
    }));
    this.#pass();
    this.#descents.forEach((descent, seed) => this.#readGradient(seed, descent.gradient));
    if (!this.#precondition()) {
      for (const descent of this.#descents) descent.lost = true;
      return;
    }
    for (const descent of this.#descents) {
      descent.direction = this.#direction(descent);
      this.#aim(descent);
    }
    let since = 0;
    for (let pass = 1; pass <= mostPasses; pass++) {
      this.#pass();
      since++;
      this.#descents.forEach((descent, seed) => {
        if (!descent.done && !descent.lost) this.#advance(descent, seed, pass);
      });
      const active = this.#descents.filter(({ done, lost }) => !done && !lost);
      if (active.length === 0) break;
      const stale = active.some(({ size, sizeBefore }) => size > slow * slow * sizeBefore);
      if (stale && since >= freshPasses && this.#precondition()) {
        since = 0;
        for (const descent of active) {
          descent.pairs = [];
          descent.sizeBefore = Infinity;
          if (descent.scale === 0) descent.direction = this.#direction(descent);
        }
      }
      for (const descent of active) if (descent.scale === 0) this.#aim(descent);
    }
  }

  result(seed: number): ProbeFit {
    const { paddedRows } = this.#kernels.layout;
    const { point, largest, passes, done } = this.#descents[seed];
    const width = this.#size - 1;
    const weights = point.slice(0, width);
    const intercept = weights.reduce((sum, weight, k) => sum - weight * this.#means[k], point[width]);
    const scores = this.#scores.subarray(seed * paddedRows, (seed + 1) * paddedRows);
    return { weights, intercept, gradient: largest, iterations: passes, converged: done, told: (i) => scores[i] > 0 };
  }

  /** Takes scores, residuals and gradients of all seeds at point + scale * direction. */
  #pass(): void {
    this.#descents.forEach(({ point, direction, scale, done }, seed) => {
      const far = done ? 0 : scale;
      for (let k = 0; k < this.#size; k++) this.#weights[k * this.seeds + seed] = point[k] + far * direction[k];
    });
    this.#sums.fill(0);
    this.#kernels.pass();
  }

  #readGradient(seed: number, into: Float64Array): void {
    const width = this.#size - 1;
    for (let k = 0; k <= width; k++) {
      const at = 2 * (k * this.seeds + seed);
      const penalty = k < width ? this.#weights[k * this.seeds + seed] : 0;
      into[k] = this.#c * (this.#sums[at] + this.#sums[at + 1]) + penalty;
    }
  }

  /** Goes on from the pass that was made: keeps the step where it led down far enough, else halves it. */
  #advance(descent: Descent, seed: number, pass: number): void {
    const size = this.#size;
    const gradient = new Float64Array(size);
    this.#readGradient(seed, gradient);
    const slope = dot(gradient, descent.direction);
    descent.passes = pass;
    if (!Number.isFinite(slope)) {
      descent.lost = true;
      return;
    }
    if (slope > 0.9 * Math.abs(descent.slope)) {
      // Too far: to where the slope between the two would be 0.
      descent.scale *= Math.max(0.1, descent.slope / (descent.slope - slope));
      if (descent.scale < 1e-8) descent.lost = true;
      return;
    }
    const step = descent.direction.map((value) => value * descent.scale);
    const change = gradient.map((value, k) => value - descent.gradient[k]);
    const product = dot(step, change);
    if (product > 0) {
      descent.pairs.push({ step, change, product });
      if (descent.pairs.length > memory) descent.pairs.shift();
    }
    descent.point = descent.point.map((value, k) => value + step[k]);
    descent.gradient = gradient;
    descent.scale = 0;
    this.#measure(descent);
  }

  /** Where the descent is: whether it is done. */
  #measure(descent: Descent): void {
    const direction = this.#direction(descent);
    descent.sizeBefore = descent.size;
    descent.size = -dot(direction, descent.gradient);
    descent.largest = largest(descent.gradient);
    descent.direction = direction;
    // The step that is left is what the point is off by, as far as the preconditioner is true.
    const width = this.#size - 1;
    const weightsReached = largest(direction.subarray(0, width)) <= this.#tolerance * largest(descent.point.subarray(0, width));
    const interceptReached = Math.abs(direction[width]) <= this.#tolerance * Math.max(1, Math.abs(descent.point[width]));
    if (descent.largest === 0 || (weightsReached && interceptReached)) descent.done = true;
  }

  /** Sets out along the direction. */
  #aim(descent: Descent): void {
    descent.slope = dot(descent.direction, descent.gradient);
    descent.scale = 1;
    if (descent.size === Infinity) descent.size = -descent.slope;
    // Where no feature says anything there is nothing to do.
    descent.largest = largest(descent.gradient);
    if (!(descent.slope < 0)) {
      if (descent.largest <= 1e-12) descent.done = true;
      else descent.lost = true;
    }
  }

  /** -H gradient by the two-loop recursion (Nocedal 1980), from the shared preconditioner. */
  #direction({ gradient, pairs }: Descent): Float64Array {
    const q = gradient.slice();
    const shares = new Array<number>(pairs.length);
    for (let i = pairs.length - 1; i >= 0; i--) {
      shares[i] = dot(pairs[i].step, q) / pairs[i].product;
      subtract(q, pairs[i].change, shares[i]);
    }
    choleskySolve(this.#factor, this.#size, q);
    pairs.forEach(({ step, change, product }, i) => subtract(q, step, dot(change, q) / product - shares[i]));
    return q.map((value) => -value);
  }

  /** Factors the Hessian whose rows have the mean weight of all seeds at the last pass. False where that fails. */
  #precondition(): boolean {
    const { rows, paddedRows } = this.#kernels.layout;
    const size = this.#size;
    const share = this.#c / this.seeds;
    for (let row = 0; row < rows; row++) {
      let sum = 0;
      for (let at = row, seed = 0; seed < this.seeds; seed++, at += paddedRows) {
        const wrong = Math.abs(this.#residuals[at]);
        sum += wrong - wrong * wrong;
      }
      this.#rowWeights[row] = share * sum;
    }
    this.#gram.fill(0);
    this.#kernels.gram();
    const next = new Float64Array(size * size);
    this.#tiles.forEach(({ i, j }, tile) => {
      for (let part = 0; part < 8; part++) {
        const [a, b] = [i + (part >> 1), j + (part & 1)];
        if (a >= size || b > a) continue;
        const at = 32 * tile + 4 * part;
        next[a * size + b] = this.#gram[at] + this.#gram[at + 1] + this.#gram[at + 2] + this.#gram[at + 3];
      }
    });
    for (let k = 0; k < size - 1; k++) next[k * size + k] += 1;
    if (!choleskyFactor(next, size)) return false;
    this.#factor.set(next);
    return true;
  }
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

function subtract(from: Float64Array, other: Float64Array, times: number): void {
  for (let i = 0; i < from.length; i++) from[i] -= times * other[i];
}

function largest(values: Float64Array): number {
  let most = 0;
  for (let i = 0; i < values.length; i++) most = Math.max(most, Math.abs(values[i]));
  return most;
}
