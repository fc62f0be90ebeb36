import { TillerError } from '../../errors/error.ts';
import type { GraphIndex } from './graph-index.ts';
import type { OnnxNode } from './onnx-graph.ts';
import { elementsOf, type OnnxTensor } from './onnx-tensor.ts';
import type { TensorData } from './tensor-data.ts';
import {
  affineWeight,
  blocksOf,
  packedBlocks,
  plainWeight,
  refuseTensor,
  Transposer,
  type AffineParts,
  type Blocks,
  type Weight,
} from './weight.ts';

/** Constants as matrices: initialisers, and what a few operators make of them before any input is known. */
export class Constants {
  private readonly index: GraphIndex;
  private readonly data: TensorData;
  private readonly transposer = new Transposer();
  private readonly made = new Map<string, Weight | null>();

  constructor(index: GraphIndex, data: TensorData) {
    this.index = index;
    this.data = data;
  }

  transpose(weight: Weight): Weight {
    return this.transposer.transpose(weight);
  }

  /** The tensor behind a name, through operators that leave its bytes as they are. */
  tensor(name: string): OnnxTensor | null {
    const origin = this.index.origin(name, keepsBytes);
    return this.index.graph.constants.get(origin) ?? null;
  }

  need(name: string, what: string, node: OnnxNode): OnnxTensor {
    const tensor = name === undefined ? null : this.tensor(name);
    if (tensor) return tensor;
    return refuseNode(node, `has no constant ${what}`, this.data.paths[0]);
  }

  /** A constant as a matrix; null where the name is none, or none that can be read. */
  weight(name: string): Weight | null {
    const known = this.made.get(name);
    if (known !== undefined) return known;
    const weight = this.make(name, 0);
    this.made.set(name, weight);
    return weight;
  }

  private make(name: string, depth: number): Weight | null {
    const stored = this.index.graph.constants.get(name);
    if (stored) return plainWeight(this.data, stored);
    const node = this.index.maker(name);
    if (!node || depth > 8 || !this.index.isConstant(name)) return null;
    switch (node.op) {
      case 'Cast':
      case 'Identity':
        return this.make(node.inputs[0], depth + 1);
      case 'Transpose': {
        const weight = this.make(node.inputs[0], depth + 1);
        return weight && this.transpose(weight);
      }
      case 'DequantizeLinear':
        return this.dequantized(node, this.need(node.inputs[0], 'input', node));
      case 'Add':
        return this.shifted(node, depth);
      default:
        return null;
    }
  }

  /** Add of a vector and a number: norms of some exports add their 1 in the graph. */
  private shifted(node: OnnxNode, depth: number): Weight | null {
    const [left, right] = node.inputs;
    const isNumber = (name: string): boolean => elementsOf(this.index.graph.constants.get(name)?.dims ?? [0]) === 1;
    const [vector, number] = isNumber(right) ? [left, right] : [right, left];
    const scalar = this.index.graph.constants.get(number);
    const weight = this.make(vector, depth + 1);
    if (!weight || !scalar || !isNumber(number)) return null;
    return {
      ...weight,
      dtype: 'F32',
      transposed: undefined,
      read: async (first, count, signal) => {
        const [by] = await this.data.numbers(scalar, 0, 1, signal);
        return (await weight.read(first, count, signal)).map((value) => value + by);
      },
    };
  }

  /**
   * Integers of `tensor` with the scale and zero point of a DequantizeLinear: for the tensor, for one axis, or for blocks along it.
   * @param rows of `tensor` where the operator sees only some of them (after a Gather)
   */
  dequantized(node: OnnxNode, tensor: OnnxTensor): Weight {
    const [, scaleName, zeroName] = node.inputs;
    const scale = this.need(scaleName, 'scale', node);
    const zero = zeroName ? this.need(zeroName, 'zero point', node) : null;
    const axis = node.numbers.get('axis') ?? 1;
    return this.integers(tensor, scale, zero, { axis, block: node.numbers.get('block_size') ?? 0 });
  }

  /** An integer matrix with one scale, one for each index of an axis, or one for each block along it. */
  integers(tensor: OnnxTensor, scale: OnnxTensor, zero: OnnxTensor | null, { axis, block }: { axis: number; block: number }): Weight {
    const { type, dims } = tensor;
    if (dims.length !== 2) return refuseTensor(tensor, `has the shape [${dims.join(', ')}], expected a matrix`);
    if (type !== 'u8' && type !== 'i8' && type !== 'u4' && type !== 'i4')
      return refuseTensor(tensor, `holds ${type ?? 'unknown numbers'}, expected integers of 4 or 8 bits`);
    const bits = type === 'u4' || type === 'i4' ? 4 : 8;
    const [rows, cols] = dims;
    const whole = axis < 0 ? axis + 2 : axis;
    const scales = elementsOf(scale.dims);
    let grid: [number, number];
    let size: [number, number];
    if (block > 0) {
      grid = whole === 0 ? [Math.ceil(rows / block), cols] : [rows, Math.ceil(cols / block)];
      size = whole === 0 ? [block, 1] : [1, block];
    } else if (scales === 1) {
      [grid, size] = [
        [1, 1],
        [rows, cols],
      ];
    } else {
      grid = whole === 0 ? [rows, 1] : [1, cols];
      size = whole === 0 ? [1, cols] : [rows, 1];
    }
    const shared = zero !== null && elementsOf(zero.dims) === 1;
    const zeros = zero === null ? 0 : blocksOf(this.data, zero, shared ? [1, 1] : grid, shared ? [rows, cols] : size);
    return affineWeight(this.data, {
      rows,
      cols,
      tensor,
      bits,
      signed: type === 'i8' || type === 'i4',
      pitch: cols,
      scale: blocksOf(this.data, scale, grid, size),
      zero: zeros,
      kind: `int${bits} ${block > 0 ? `in ${block}` : scales === 1 ? 'a tensor' : 'an axis'}`,
    });
  }

  /** The weight [N, K] of a MatMulNBits (ONNX Runtime, docs/ContribOperators.md). */
  matMulNBits(node: OnnxNode): Weight {
    const wrong = (problem: string): never => refuseNode(node, problem, this.data.paths[0]);
    const number = (key: string, fallback?: number): number => node.numbers.get(key) ?? fallback ?? wrong(`lacks the attribute ${key}`);
    const [, weightName, scaleName, zeroName, order] = node.inputs;
    if (order) wrong('has g_idx: weights whose groups are out of order are not read');
    const bits = number('bits', 4);
    if (bits !== 2 && bits !== 4 && bits !== 8) return wrong(`has ${bits} bits; 2, 4 and 8 are read`);
    return this.packed(node, {
      tensor: this.need(weightName, 'weight', node),
      rows: number('N'),
      cols: number('K'),
      bits,
      block: number('block_size'),
      scale: this.need(scaleName, 'scales', node),
      zero: zeroName ? this.need(zeroName, 'zero points', node) : null,
    });
  }

  /** The table [rows, hidden] of a GatherBlockQuantized. */
  gatherBlockQuantized(node: OnnxNode): Weight {
    const wrong = (problem: string): never => refuseNode(node, problem, this.data.paths[0]);
    if ((node.numbers.get('gather_axis') ?? 0) !== 0) wrong('gathers along another axis than 0');
    const [dataName, , scaleName, zeroName] = node.inputs;
    const tensor = this.need(dataName, 'data', node);
    const scale = this.need(scaleName, 'scales', node);
    const zero = zeroName ? this.need(zeroName, 'zero points', node) : null;
    const block = node.numbers.get('block_size') ?? 128;
    const axis = node.numbers.get('quantize_axis') ?? 1;
    if (axis !== 1 && axis !== -1) wrong('is quantised along another axis than 1');
    if (tensor.type === 'u4' || tensor.type === 'i4') return this.integers(tensor, scale, zero, { axis: 1, block });
    if (tensor.type !== 'u8') return refuseTensor(tensor, `holds ${tensor.type ?? 'unknown numbers'}, expected bytes`);
    const bits = node.numbers.get('bits') ?? 4;
    if (bits !== 2 && bits !== 4 && bits !== 8) return wrong(`has ${bits} bits; 2, 4 and 8 are read`);
    // A Reshape of the head's weight: the scales say how many rows there are.
    const rows = tensor.dims[0];
    const cols = (elementsOf(tensor.dims) / rows) * (8 / bits);
    if (!Number.isSafeInteger(cols)) return refuseTensor(tensor, `has the shape [${tensor.dims.join(', ')}]`);
    return this.packed(node, { tensor, rows, cols, bits, block, scale, zero });
  }

  private packed(
    node: OnnxNode,
    parts: {
      readonly tensor: OnnxTensor;
      readonly rows: number;
      readonly cols: number;
      readonly bits: 2 | 4 | 8;
      readonly block: number;
      readonly scale: OnnxTensor;
      readonly zero: OnnxTensor | null;
    },
  ): Weight {
    const { tensor, rows, cols, bits, block, scale, zero } = parts;
    const wrong = (problem: string): never => refuseNode(node, problem, this.data.paths[0]);
    const isCount = (value: number): boolean => Number.isSafeInteger(value) && value >= 1;
    if (!isCount(rows) || !isCount(cols)) return wrong(`has a weight of ${rows} by ${cols}`);
    if (!isCount(block) || block > 65536 || (block & (block - 1)) !== 0) return wrong(`has blocks of ${block} weights`);
    const groups = Math.ceil(cols / block);
    const grid: [number, number] = [rows, groups];
    const size: [number, number] = [1, block];
    // The last block of a MatMulNBits row is padded; a table's row is not.
    const padded = (groups * block * bits) / 8;
    const exact = Math.ceil((cols * bits) / 8);
    const stored = elementsOf(tensor.dims);
    const pitch = stored === rows * padded ? padded : exact;
    if (tensor.type !== 'u8' || stored !== rows * pitch) {
      const shape = `[${tensor.dims.join(', ')}] of ${tensor.type ?? 'unknown numbers'}`;
      return refuseTensor(tensor, `has the shape ${shape}, expected ${rows} rows of ${padded} bytes`);
    }
    const middle = 1 << (bits - 1);
    let zeros: Blocks | number = middle;
    if (zero) zeros = zero.type === 'u8' ? packedBlocks(this.data, zero, bits, grid, size) : blocksOf(this.data, zero, grid, size);
    const affine: AffineParts = {
      rows,
      cols,
      tensor,
      bits,
      signed: false,
      pitch: (pitch * 8) / bits,
      scale: blocksOf(this.data, scale, grid, size),
      zero: zeros,
      kind: `int${bits} ${zero ? 'with zero points' : 'symmetric'} in ${block}`,
    };
    return affineWeight(this.data, affine);
  }
}

/** Operators after which the bytes are the same. */
const keepsBytes: ReadonlySet<string> = new Set(['Identity', 'Reshape', 'Squeeze', 'Unsqueeze', 'Flatten']);

export function refuseNode(node: OnnxNode, problem: string, file: string): never {
  throw new TillerError('model/file', { file, problem: `the node "${node.name.slice(0, 200)}" (${node.op.slice(0, 100)}) ${problem}` });
}
