import { add, advance, f32x4, f64x2, FunctionBuilder, get, i32, i64x2, set, v128, wasmModule, type Code } from '../wasm/assembler.ts';

/**
 * The two loops that fitting probes is made of, for one head and several seeds at once. Rows lie in blocks, in each block feature by feature, so that four rows
 * are one vector; all seeds share every load of a feature. Sums are f64.
 */

/** Rows of a block: with 64 features its f32 numbers are 32 KiB. */
export const blockRows = 128;
/** Seeds of one pass: with more, the accumulators of a WebAssembly loop no longer fit the 16 vector registers of x64. */
export const mostSeeds = 5;

export interface ProbeLayout {
  readonly rows: number;
  /** Features of a row with the constant 1 that carries the intercept. */
  readonly size: number;
  readonly seeds: number;
  readonly blocks: number;
  /** Rows with those that fill the last block; their sign is 0. */
  readonly paddedRows: number;
  /** `size` with zero features, to a multiple of 4. */
  readonly paddedSize: number;
  /** Byte offsets. */
  readonly at: {
    /** f32 [block][paddedSize][blockRows]. */
    readonly features: number;
    /** f64 [row]: 1 - 2 label. */
    readonly sign: number;
    /** f64 [seed][row]: 1 - 2 label where the seed trains on the row, else 0. */
    readonly signed: number;
    /** f64 [size][seed]: where the gradient is taken. */
    readonly weights: number;
    /** f64 [seed][row]: x . weights. */
    readonly scores: number;
    /** f64 [seed][row]: (p - label), 0 where the seed does not train. */
    readonly residuals: number;
    /** f64 [size][seed][2]: two parts of sum over rows of residual * x. */
    readonly gradient: number;
    /** f32 [row]: weights of the rows in the Gram matrix. */
    readonly rowWeights: number;
    /** f32 [4][blockRows]. */
    readonly scratch: number;
    /** f32 [tile][4][2][4]: parts of sum over rows of rowWeight x_i x_j, of 4 rows i and 2 columns j a tile, tiles as `gramTiles` gives them. */
    readonly gram: number;
  };
  readonly bytes: number;
}

export interface ProbeKernels {
  readonly kind: 'wasm' | 'plain';
  readonly layout: ProbeLayout;
  readonly buffer: ArrayBuffer;
  /** weights -> scores, residuals, and adds to gradient. */
  pass(): void;
  /** rowWeights -> adds to gram. */
  gram(): void;
}

export function probeLayout(rows: number, width: number, seeds: number): ProbeLayout {
  const size = width + 1;
  const paddedSize = Math.ceil(size / 4) * 4;
  const blocks = Math.ceil(rows / blockRows);
  const paddedRows = blocks * blockRows;
  const tiles = gramTiles(paddedSize).length;
  const sizes = {
    features: 4 * paddedRows * paddedSize,
    sign: 8 * paddedRows,
    signed: 8 * paddedRows * seeds,
    weights: 8 * size * seeds,
    scores: 8 * paddedRows * seeds,
    residuals: 8 * paddedRows * seeds,
    gradient: 16 * size * seeds,
    rowWeights: 4 * paddedRows,
    scratch: 16 * blockRows,
    gram: 128 * tiles,
  };
  const at: Record<string, number> = {};
  // The first bytes stay free: no address is 0.
  let bytes = 64;
  for (const [name, length] of Object.entries(sizes)) {
    at[name] = bytes;
    bytes += Math.ceil(length / 64) * 64;
  }
  return { rows, size, seeds, blocks, paddedRows, paddedSize, at: at as unknown as ProbeLayout['at'], bytes };
}

/** First row and first column of each tile that reaches the lower triangle. */
export function gramTiles(paddedSize: number): readonly { readonly i: number; readonly j: number }[] {
  const tiles: { i: number; j: number }[] = [];
  for (let i = 0; i < paddedSize; i += 4) for (let j = 0; j < i + 4; j += 2) tiles.push({ i, j });
  return tiles;
}

/** Kernels in WebAssembly with SIMD; plain loops where it is missing or forbidden. */
export async function probeKernels(layout: ProbeLayout): Promise<ProbeKernels> {
  try {
    return await wasmKernels(layout);
  } catch {
    return plainKernels(layout);
  }
}

export async function wasmKernels(layout: ProbeLayout): Promise<ProbeKernels> {
  const pages = Math.ceil(layout.bytes / 65536);
  const memory = new WebAssembly.Memory({ initial: pages });
  const bytes = wasmModule({ pass: passFunction(layout), gram: gramFunction(layout) }, pages);
  const { instance } = await WebAssembly.instantiate(bytes, { env: { memory } });
  const { pass, gram } = instance.exports as { pass: () => void; gram: () => void };
  return { kind: 'wasm', layout, buffer: memory.buffer, pass, gram };
}

function passFunction(layout: ProbeLayout): FunctionBuilder {
  const { size, seeds, paddedRows, blocks, paddedSize, at } = layout;
  const f = new FunctionBuilder();
  const [block, x, w, row, start, g] = Array.from({ length: 6 }, () => f.local('i32'));
  const [low, high, one, t, k, reduced] = f.group(6);
  const sums = Array.from({ length: seeds }, () => f.group(2));
  const halves = (): Code => [
    ...set(low, f64x2.promoteLow(v128.loadLow(get(x), 0))),
    ...set(high, f64x2.promoteLow(v128.loadLow(get(x), 8))),
  ];
  const accumulate = (sum: number, a: Code, b: Code): Code => set(sum, f64x2.add(get(sum), f64x2.mul(a, b)));
  const zero = (locals: readonly number[]): Code => locals.flatMap((local) => [...set(local, f32x4.zero)]);
  /** Score in local `z`: stored, then residual = signed / (1 + exp(-sign z)). */
  const finish = (z: number, seed: number, half: number): Code => {
    const offset = 16 * half;
    return [
      ...v128.store(get(row), at.scores + 8 * seed * paddedRows + offset, get(z)),
      ...set(t, f64x2.negate(f64x2.mul(get(z), v128.load(get(row), at.sign + offset)))),
      ...exponential(t, k, reduced),
      ...v128.store(
        get(row),
        at.residuals + 8 * seed * paddedRows + offset,
        f64x2.div(v128.load(get(row), at.signed + 8 * seed * paddedRows + offset), f64x2.add(get(t), f64x2.constant(1))),
      ),
    ];
  };
  // `row` counts bytes of f64 rows; a feature's four rows are 16 bytes of f32.
  const scores = f.repeat(blockRows / 4, () => [
    zero(sums.flat()),
    set(x, add(get(block), get(start))),
    set(w, i32(at.weights)),
    f.repeat(size, () => [
      halves(),
      sums.flatMap(([a, b], seed) => [
        ...set(one, v128.loadSplat64(get(w), 8 * seed)),
        ...accumulate(a, get(low), get(one)),
        ...accumulate(b, get(high), get(one)),
      ]),
      advance(x, 4 * blockRows),
      advance(w, 8 * seeds),
    ]),
    sums.flatMap(([a, b], seed) => [...finish(a, seed, 0), ...finish(b, seed, 1)]),
    advance(row, 32),
    advance(start, 16),
  ]);
  const gradient = f.repeat(size, () => [
    zero(sums.flat()),
    set(row, get(start)),
    f.repeat(blockRows / 4, () => [
      halves(),
      sums.flatMap(([a, b], seed) => {
        const from = at.residuals + 8 * seed * paddedRows;
        return [...accumulate(a, get(low), v128.load(get(row), from)), ...accumulate(b, get(high), v128.load(get(row), from + 16))];
      }),
      advance(x, 16),
      advance(row, 32),
    ]),
    sums.flatMap(([a, b], seed) => v128.store(get(g), 16 * seed, f64x2.add(v128.load(get(g), 16 * seed), f64x2.add(get(a), get(b))))),
    advance(g, 16 * seeds),
  ]);
  return f.body(
    set(block, i32(at.features)),
    set(row, i32(0)),
    f.repeat(blocks, () => [
      set(start, i32(0)),
      scores,
      set(start, add(get(row), i32(-8 * blockRows))),
      set(x, get(block)),
      set(g, i32(at.gradient)),
      gradient,
      advance(block, 4 * blockRows * paddedSize),
    ]),
  );
}

/** 1 / n! */
const taylor = Array.from({ length: 13 }, (_, n) => 1 / Array.from({ length: n }, (_, i) => i + 1).reduce((a, b) => a * b, 1));

/** t = exp(t) in f64, to 1e-15: t = k ln 2 + r with |r| <= ln 2 / 2, a polynomial in r, and k added to the exponent's bits. */
function exponential(t: number, k: number, r: number): Code {
  // Adding 1.5 * 2^52 rounds to a whole number, and leaves it in the low bits.
  const magic = f64x2.constant(6755399441055744);
  let polynomial: Code = f64x2.constant(taylor[12]);
  for (let n = 11; n >= 0; n--) polynomial = f64x2.add(f64x2.mul(polynomial, get(r)), f64x2.constant(taylor[n]));
  return [
    ...set(t, f64x2.max(f64x2.min(get(t), f64x2.constant(700)), f64x2.constant(-700))),
    ...set(k, f64x2.add(f64x2.mul(get(t), f64x2.constant(Math.LOG2E)), magic)),
    ...set(r, f64x2.sub(get(k), magic)),
    // ln 2 in two parts (fdlibm), the first with zeros at its end, so that its product with k is exact.
    ...set(
      r,
      f64x2.sub(
        f64x2.sub(get(t), f64x2.mul(get(r), f64x2.constant(6.9314718036912381649e-1))),
        f64x2.mul(get(r), f64x2.constant(1.90821492927058770002e-10)),
      ),
    ),
    ...set(t, i64x2.add(polynomial, i64x2.shiftLeft(get(k), 52))),
  ];
}

function gramFunction(layout: ProbeLayout): FunctionBuilder {
  const { blocks, paddedSize, at } = layout;
  const f = new FunctionBuilder();
  const [block, row, x, other, from, tile, first] = Array.from({ length: 7 }, () => f.local('i32'));
  const left = f.group(4);
  const right = f.group(2);
  const sums = f.group(8);
  const line = 4 * blockRows;
  const scale = f.repeat(blockRows / 4, () => [
    left.flatMap((_, i) => [
      ...v128.store(get(from), i * line, f32x4.mul(v128.load(get(x), i * line), v128.load(get(row), at.rowWeights))),
    ]),
    advance(x, 16),
    advance(from, 16),
    advance(row, 16),
  ]);
  const product = f.repeat(blockRows / 4, () => [
    left.flatMap((local, i) => [...set(local, v128.load(get(from), i * line))]),
    right.flatMap((local, j) => [...set(local, v128.load(get(other), j * line))]),
    sums.flatMap((sum, index) => set(sum, f32x4.add(get(sum), f32x4.mul(get(left[index >> 1]), get(right[index & 1]))))),
    advance(from, 16),
    advance(other, 16),
  ]);
  const tiles = (count: number): Code => [
    ...set(first, get(block)),
    ...f.repeat(count, () => [
      sums.flatMap((sum, index) => [...set(sum, v128.load(get(tile), 16 * index))]),
      set(from, i32(at.scratch)),
      set(other, get(first)),
      product,
      sums.flatMap((sum, index) => v128.store(get(tile), 16 * index, get(sum))),
      advance(tile, 128),
      advance(first, 2 * line),
    ]),
  ];
  const rows = Array.from({ length: paddedSize / 4 }, (_, i): Code => [
    ...set(x, add(get(block), i32(4 * i * line))),
    ...set(from, i32(at.scratch)),
    ...scale,
    ...advance(row, -4 * blockRows),
    ...tiles(2 * i + 2),
  ]);
  return f.body(
    set(block, i32(at.features)),
    set(row, i32(0)),
    f.repeat(blocks, () => [set(tile, i32(at.gram)), ...rows, advance(row, 4 * blockRows), advance(block, line * paddedSize)]),
  );
}

/** The same in plain loops: the oracle of the WebAssembly, and what runs where there is none. */
export function plainKernels(layout: ProbeLayout): ProbeKernels {
  const { size, seeds, rows, paddedRows, paddedSize, at } = layout;
  const buffer = new ArrayBuffer(layout.bytes);
  const f64 = (offset: number, length: number) => new Float64Array(buffer, offset, length);
  const features = new Float32Array(buffer, at.features, paddedRows * paddedSize);
  const sign = f64(at.sign, paddedRows);
  const signed = f64(at.signed, seeds * paddedRows);
  const weights = f64(at.weights, size * seeds);
  const scores = f64(at.scores, seeds * paddedRows);
  const residuals = f64(at.residuals, seeds * paddedRows);
  const gradient = f64(at.gradient, 2 * size * seeds);
  const rowWeights = new Float32Array(buffer, at.rowWeights, paddedRows);
  const place = (row: number): number => Math.floor(row / blockRows) * blockRows * paddedSize + (row % blockRows);
  return {
    kind: 'plain',
    layout,
    buffer,
    pass() {
      for (let row = 0; row < rows; row++) {
        const x = place(row);
        for (let seed = 0; seed < seeds; seed++) {
          let z = 0;
          for (let k = 0; k < size; k++) z += features[x + k * blockRows] * weights[k * seeds + seed];
          const to = seed * paddedRows + row;
          scores[to] = z;
          const residual = signed[to] === 0 ? 0 : signed[to] / (1 + Math.exp(-sign[row] * z));
          residuals[to] = residual;
          if (residual !== 0) for (let k = 0; k < size; k++) gradient[2 * (k * seeds + seed)] += residual * features[x + k * blockRows];
        }
      }
    },
    gram() {
      gramTiles(paddedSize).forEach(({ i, j }, tile) => {
        const parts = new Float32Array(buffer, at.gram + 128 * tile, 32);
        for (let a = 0; a < 4; a++)
          for (let b = 0; b < 2; b++) {
            let sum = 0;
            for (let row = 0; row < rows; row++) {
              const x = place(row);
              sum += rowWeights[row] * features[x + (i + a) * blockRows] * features[x + (j + b) * blockRows];
            }
            parts[4 * (2 * a + b)] += sum;
          }
      });
    },
  };
}
