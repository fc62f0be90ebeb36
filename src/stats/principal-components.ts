import { TillerError } from '../errors/error.ts';
import { normal, seededRandom } from './random.ts';
import { symmetricEigen } from './symmetric-eigen.ts';

export interface PrincipalComponents {
  /** At most k x width, row-major, each of length 1, largest variance first. The sign of each is arbitrary: whoever asks sets it. */
  readonly directions: Float64Array;
  /** How many there are: fewer than asked where rows do not vary in as many directions. */
  readonly count: number;
  /** Mean square along each direction (divisor: rows). */
  readonly variances: Float64Array;
  /** Share of the total variance, of each. */
  readonly explained: Float64Array;
  /** What was subtracted from every row: the mean, or zeros. */
  readonly mean: Float64Array;
}

/** Up to this the smaller Gram matrix is diagonalised; above it only the wanted end of its spectrum is found. */
const dense = 128;

/**
 * Directions in which rows vary most.
 * @param matrix rows x width, row-major
 * @param k how many are wanted
 * @param subtractMean false takes the rows as they are (variance about zero)
 * @throws stats/argument for a wrong size or k, stats/rows without rows, stats/not-finite
 */
export function principalComponents(
  matrix: Float32Array | Float64Array,
  rows: number,
  width: number,
  k: number,
  subtractMean = true,
): PrincipalComponents {
  if (rows < 1) throw new TillerError('stats/rows', { what: 'a principal component', needed: 1, got: rows });
  if (!(Number.isInteger(k) && k >= 1)) throw new TillerError('stats/argument', { problem: `${k} components` });
  if (matrix.length !== rows * width || width < 1)
    throw new TillerError('stats/argument', { problem: `${matrix.length} numbers are not ${rows} rows of ${width}` });
  const x = Float64Array.from(matrix);
  const mean = new Float64Array(width);
  if (subtractMean) centre(x, rows, width, mean);
  const total = x.reduce((sum, value) => sum + value * value, 0);
  if (!Number.isFinite(total)) throw new TillerError('stats/not-finite', { what: 'a row of a principal component' });

  const n = Math.min(rows, width);
  const apply = (vector: Float64Array): Float64Array => applyGram(x, rows, width, vector);
  const found = n <= dense ? symmetricEigen(gram(x, rows, width), n) : lanczos(apply, n, Math.min(k, n));
  // Below this an eigenvalue is what rounding left.
  const least = total * n * 1e-15;
  let count = 0;
  while (count < Math.min(k, n) && found.values[count] > least) count++;
  const directions = new Float64Array(count * width);
  for (let c = 0; c < count; c++) {
    const vector = found.vectors.subarray(c * n, c * n + n);
    directions.set(unit(rows < width ? transposedProduct(x, rows, width, vector) : vector), c * width);
  }
  const values = found.values.slice(0, count);
  return {
    directions,
    count,
    variances: values.map((value) => value / rows),
    explained: values.map((value) => value / total),
    mean,
  };
}

function centre(x: Float64Array, rows: number, width: number, mean: Float64Array): void {
  for (let r = 0; r < rows; r++) for (let i = 0; i < width; i++) mean[i] += x[r * width + i] / rows;
  for (let r = 0; r < rows; r++) for (let i = 0; i < width; i++) x[r * width + i] -= mean[i];
}

/** x x^T or x^T x, whichever is smaller. */
function gram(x: Float64Array, rows: number, width: number): Float64Array {
  const n = Math.min(rows, width);
  const out = new Float64Array(n * n);
  if (rows < width) {
    for (let a = 0; a < rows; a++)
      for (let b = 0; b <= a; b++) {
        let sum = 0;
        for (let i = 0; i < width; i++) sum += x[a * width + i] * x[b * width + i];
        out[a * n + b] = out[b * n + a] = sum;
      }
  } else {
    for (let r = 0; r < rows; r++)
      for (let a = 0; a < width; a++) {
        const value = x[r * width + a];
        for (let b = 0; b <= a; b++) out[a * n + b] += value * x[r * width + b];
      }
    for (let a = 0; a < n; a++) for (let b = 0; b < a; b++) out[b * n + a] = out[a * n + b];
  }
  return out;
}

function product(x: Float64Array, rows: number, width: number, vector: ArrayLike<number>): Float64Array {
  const out = new Float64Array(rows);
  for (let r = 0; r < rows; r++) {
    let sum = 0;
    for (let i = 0; i < width; i++) sum += x[r * width + i] * vector[i];
    out[r] = sum;
  }
  return out;
}

function transposedProduct(x: Float64Array, rows: number, width: number, vector: ArrayLike<number>): Float64Array {
  const out = new Float64Array(width);
  for (let r = 0; r < rows; r++) for (let i = 0; i < width; i++) out[i] += vector[r] * x[r * width + i];
  return out;
}

const applyGram = (x: Float64Array, rows: number, width: number, vector: Float64Array): Float64Array =>
  rows < width
    ? product(x, rows, width, transposedProduct(x, rows, width, vector))
    : transposedProduct(x, rows, width, product(x, rows, width, vector));

function unit(vector: Float64Array): Float64Array {
  const size = Math.sqrt(dot(vector, vector));
  return vector.map((value) => value / size);
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

/**
 * The k largest eigenpairs of a symmetric operator by Lanczos iteration, every basis vector made orthogonal to all others twice; the basis grows
 * until the residuals of the k are rounding. Always from the same starting vector, so equal input gives equal output.
 */
function lanczos(apply: (vector: Float64Array) => Float64Array, n: number, k: number) {
  const random = seededRandom(1);
  const basis: Float64Array[] = [];
  const diagonal: number[] = [];
  const beside: number[] = [];
  const fresh = (): Float64Array =>
    unit(
      orthogonal(
        Float64Array.from({ length: n }, () => normal(random)),
        basis,
      ),
    );
  let vector = fresh();
  for (let check = 4 * k + 20; ;) {
    basis.push(vector);
    const next = apply(vector);
    diagonal.push(dot(next, vector));
    orthogonal(next, basis);
    const size = Math.sqrt(dot(next, next));
    const m = basis.length;
    const scale = Math.max(...diagonal, ...beside, 0);
    const exhausted = size <= 1e-14 * scale;
    if (m === n || m >= check) {
      const { values, vectors } = symmetricEigen(tridiagonal(diagonal, beside), m);
      const settled = Array.from({ length: k }, (_, c) => Math.abs(size * vectors[c * m + m - 1])).every(
        (rest) => rest <= 1e-12 * values[0],
      );
      if (m === n || settled) return { values, vectors: ritz(basis, vectors, k, n) };
      check = Math.min(n, Math.ceil(m * 1.4));
    }
    beside.push(exhausted ? 0 : size);
    vector = exhausted ? fresh() : next.map((value) => value / size);
  }
}

/** Takes from `vector` what lies along the basis. */
function orthogonal(vector: Float64Array, basis: readonly Float64Array[]): Float64Array {
  for (let pass = 0; pass < 2; pass++)
    for (const one of basis) {
      const along = dot(vector, one);
      for (let i = 0; i < vector.length; i++) vector[i] -= along * one[i];
    }
  return vector;
}

function tridiagonal(diagonal: readonly number[], beside: readonly number[]): Float64Array {
  const m = diagonal.length;
  const out = new Float64Array(m * m);
  for (let i = 0; i < m; i++) {
    out[i * m + i] = diagonal[i];
    if (i > 0) out[i * m + i - 1] = out[(i - 1) * m + i] = beside[i - 1];
  }
  return out;
}

function ritz(basis: readonly Float64Array[], vectors: Float64Array, k: number, n: number): Float64Array {
  const m = basis.length;
  const out = new Float64Array(k * n);
  for (let c = 0; c < k; c++)
    basis.forEach((one, j) => {
      for (let i = 0; i < n; i++) out[c * n + i] += vectors[c * m + j] * one[i];
    });
  return out;
}
