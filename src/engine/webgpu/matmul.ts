import type { ModelSpec } from '../../model/spec.ts';
import { grid, type Dispatch } from './dispatch.ts';
import type { Params } from './params.ts';
import type { KernelVariant } from './pipelines.ts';
import { matrixBytes, type Matrix, type MatrixPart, type WeightFormat } from './weights.ts';

/** Forms of the matrix-vector product; which one is fastest differs by an order of magnitude between adapters (tune.ts). */
export type MatvecForm = 'rows' | 'subgroup' | 'tree';

/** Most rows of the batch that have a matrix-vector kernel of their own; more take the tiled product, or several blocks of rows. */
export const MATVEC_ROWS = 8;
/** The same on software adapters, whose drivers compile the kernel for eight rows for seconds, and run it no faster than two of four. */
const SOFTWARE_MATVEC_ROWS = 4;
/** Numbers of rows that have a kernel of their own; others use the next larger one. */
export const matvecSizes = [1, 2, 4, 8] as const;
export type MatvecSize = (typeof matvecSizes)[number];

/** Outputs that a slice is a multiple of: weights and scales then begin at multiples of 256 bytes, as bindings must. */
const SLICE = 128;

export type Arithmetic = 'f16' | 'f32';

/** What the measurement at load decides: the form for few rows (1, 2) and for more (4, 8). */
export interface MatmulChoice {
  readonly few: MatvecForm;
  readonly many: MatvecForm;
  /**
   * Whether the tiled product takes what is more than the matrix-vector kernels have rows for. It shares what it reads through
   * workgroup memory, which pays on GPUs; on software adapters blocks of four rows in the matrix-vector kernel are two to four times as
   * fast (docs/benchmarks.md).
   */
  readonly tiled: boolean;
}

const weightsFile = (format: WeightFormat, arithmetic: Arithmetic): string =>
  arithmetic === 'f16' && (format === 'f16' || format === 'q8' || format === 'q4') ? `weights_${format}_h` : `weights_${format}`;

interface MatvecShape {
  readonly variant: KernelVariant;
  /** Output rows that one workgroup covers. */
  readonly covers: number;
}

const SUBGROUP_ROWS = 16;

/** The kernel variant of a form for M rows of the batch. */
export function matvecVariant(
  form: MatvecForm,
  format: WeightFormat,
  arithmetic: Arithmetic,
  m: MatvecSize,
  activation: ModelSpec['activation'] | null,
  SOFTWARE = false,
): MatvecShape {
  const perInvocation = m === 8 ? 2 : 4;
  const perSubgroup = m === 1 ? 4 : 2;
  const NR = form === 'rows' ? perInvocation : perSubgroup;
  const includes = {
    weights: weightsFile(format, arithmetic),
    activation: `activation_${activation ?? 'silu'}`,
    matvec_store: activation ? `matvec_store_gated${NR}` : 'matvec_store_plain',
  };
  switch (form) {
    case 'rows':
      return { variant: { shader: 'matvec_rows', defines: { WG: 32, NR, M: m, SOFTWARE }, includes }, covers: 32 * NR };
    case 'subgroup':
      return {
        variant: { shader: 'matvec_subgroup', defines: { WG: 128, NR, M: m, ROWS: SUBGROUP_ROWS, SOFTWARE }, includes },
        covers: SUBGROUP_ROWS,
      };
    case 'tree':
      return { variant: { shader: 'matvec_tree', defines: { WG: 64, NR, M: m, TOTAL: 64 * NR * m, SOFTWARE }, includes }, covers: NR };
  }
}

/** The tiled product: RM x 8 rows by RN x 8 outputs a workgroup; smaller and one size only where compiling is slow. */
export function matmulVariant(
  format: WeightFormat,
  arithmetic: Arithmetic,
  rows: number,
  SOFTWARE = false,
): { variant: KernelVariant; tile: readonly [number, number] } {
  const RM = SOFTWARE || rows <= 16 ? 2 : 4;
  const RN = SOFTWARE ? 4 : 8;
  const defines = { RM, RN, XS: 8 * RM * 9, WS: 8 * RN * 9, SOFTWARE };
  return { variant: { shader: 'matmul', defines, includes: { weights: weightsFile(format, arithmetic) } }, tile: [8 * RM, 8 * RN] };
}

export interface ProductBuffers {
  readonly call: GPUBuffer;
  readonly x: GPUBuffer;
  readonly out: GPUBuffer;
  /** f32 a row of `out`. */
  readonly outStride: number;
}

/** Matrix products of one device: which kernel, which bindings. */
export class Matmul {
  constructor(
    private readonly params: Params,
    private readonly choice: MatmulChoice,
    /** The adapter computes on the CPU: loops are not to be written out, see shaders/attention.wgsl. */
    private readonly software = false,
    /** Most multiply-adds of one dispatch; what needs more is cut by outputs, so that no dispatch runs long on a slow device. */
    private readonly budget = Number.POSITIVE_INFINITY,
  ) {}

  /** Most rows that go through the matrix-vector kernels. */
  get matvecRows(): number {
    if (!this.choice.tiled) return Number.POSITIVE_INFINITY;
    return this.software ? SOFTWARE_MATVEC_ROWS : MATVEC_ROWS;
  }

  /** Variants that matrices of these kinds may need, for compiling ahead: on software adapters only the commonest. */
  variants(
    kinds: readonly { format: WeightFormat; arithmetic: Arithmetic; activation: ModelSpec['activation'] | null }[],
  ): KernelVariant[] {
    const sizes = this.software ? matvecSizes.filter((m) => m <= SOFTWARE_MATVEC_ROWS) : matvecSizes;
    const tiles = this.software ? [] : [16, 64];
    return kinds.flatMap(({ format, arithmetic, activation }) => [
      ...sizes.map((m) => matvecVariant(this.form(m), format, arithmetic, m, activation, this.software).variant),
      ...(activation ? [] : tiles.map((rows) => matmulVariant(format, arithmetic, rows, this.software).variant)),
    ]);
  }

  /**
   * out = x . w^T + bias for `rows` rows. With `activation` the matrix holds gate and up in turn and the output is
   * activation(gate) * up; only for at most `matvecRows` rows.
   */
  dispatches(
    matrix: Matrix,
    rows: number,
    buffers: ProductBuffers,
    arithmetic: Arithmetic,
    activation: ModelSpec['activation'] | null = null,
  ): Dispatch[] {
    const few = rows <= this.matvecRows;
    const size = matvecSizes.find((m) => m >= rows || m === (this.software ? SOFTWARE_MATVEC_ROWS : MATVEC_ROWS)) ?? MATVEC_ROWS;
    return this.slices(matrix, rows).map(({ part, skip, count }) => {
      const first = part.first + skip;
      let variant: KernelVariant;
      let workgroups: readonly [number, number, number];
      if (few) {
        const shape = matvecVariant(this.form(size), matrix.format, arithmetic, size, activation, this.software);
        variant = shape.variant;
        const [across, down] = grid(Math.ceil(count / shape.covers));
        workgroups = [across, down, Math.ceil(rows / size)];
      } else {
        const shape = matmulVariant(matrix.format, arithmetic, rows, this.software);
        variant = shape.variant;
        workgroups = [Math.ceil(count / shape.tile[1]), Math.ceil(rows / shape.tile[0]), 1];
      }
      const rowBytes = matrixBytes(matrix.format, 1, matrix.k) - (part.scales ? (matrix.octets / 4) * 2 : 0);
      return {
        variant,
        bindings: [
          { buffer: buffers.call },
          this.params.get([matrix.octets, count, first, buffers.outStride, matrix.octets * 2, workgroups[0], 4, 0]),
          { buffer: buffers.x },
          { buffer: part.weights, offset: skip * rowBytes },
          part.scales ? { buffer: part.scales, offset: skip * (matrix.octets / 4) * 2 } : null,
          { buffer: buffers.out },
          { buffer: matrix.bias },
        ],
        workgroups,
        cost: rows * count * matrix.k,
      };
    });
  }

  /** The parts of a matrix, cut where one dispatch over all of a part would take more than the budget. */
  private slices(matrix: Matrix, rows: number): { part: MatrixPart; skip: number; count: number }[] {
    const inBudget = Math.floor(this.budget / (rows * matrix.k * SLICE)) * SLICE;
    const most = Math.max(SLICE, Math.min(inBudget, matrix.n));
    return matrix.parts.flatMap((part) =>
      Array.from({ length: Math.ceil(part.count / most) }, (_, i) => {
        const skip = i * most;
        return { part, skip, count: Math.min(most, part.count - skip) };
      }),
    );
  }

  private form(m: MatvecSize): MatvecForm {
    return m <= 2 ? this.choice.few : this.choice.many;
  }
}
