import { TillerError } from '../../errors/error.ts';
import { decodeF32 } from '../../formats/safetensors.ts';
import type { FileAccess } from '../files.ts';
import { elementsOf, tensorBytes, type ElementType, type OnnxTensor } from './onnx-tensor.ts';

const MAX_FILES = 1024;

/** Bytes of the graph's tensors, in the ONNX file and in the files beside it. */
export class TensorData {
  /** Bytes of all files. */
  readonly bytes: number;
  readonly paths: readonly string[];
  private readonly files: FileAccess;
  private readonly sizes: ReadonlyMap<string, number>;

  private constructor(files: FileAccess, sizes: ReadonlyMap<string, number>) {
    this.files = files;
    this.sizes = sizes;
    this.paths = [...sizes.keys()];
    this.bytes = [...sizes.values()].reduce((sum, size) => sum + size, 0);
  }

  /** Looks at the files that tensors lie in and checks every place against them. @throws model/file */
  static async open(files: FileAccess, path: string, tensors: Iterable<OnnxTensor>, signal?: AbortSignal): Promise<TensorData> {
    const sizes = new Map<string, number>();
    const places: { readonly file: string; readonly start: number; readonly end: number; readonly name: string }[] = [];
    const sizeOf = async (file: string, name: string): Promise<number> => {
      const known = sizes.get(file);
      if (known !== undefined) return known;
      if (sizes.size >= MAX_FILES) refuse(path, `its tensors lie in more than ${MAX_FILES} files`);
      const size = await files.size(file, signal);
      if (size === null) return refuse(file, `it is not there, and the tensor "${name.slice(0, 200)}" of ${path} lies in it`);
      sizes.set(file, size);
      return size;
    };
    await sizeOf(path, '');
    for (const tensor of tensors) {
      if (!tensor.external) continue;
      const place = stretch(tensor);
      const size = await sizeOf(place.file, tensor.name);
      const name = tensor.name.slice(0, 200);
      if (place.end > size) refuse(place.file, `the tensor "${name}" ends at byte ${place.end}, the file has ${size}`);
      places.push({ ...place, name });
    }
    places.sort((a, b) => (a.file < b.file ? -1 : a.file > b.file ? 1 : a.start - b.start || a.end - b.end));
    places.forEach((place, i) => {
      const before = places.at(i - 1);
      if (i === 0 || before?.file !== place.file || before.end <= place.start) return;
      // Two names for one tensor are fine; half of one is not.
      if (before.start !== place.start || before.end !== place.end)
        refuse(place.file, `the tensors "${before.name}" and "${place.name}" overlap`);
    });
    return new TensorData(files, sizes);
  }

  /** Bytes [start, end) of a tensor's data. */
  async read(tensor: OnnxTensor, start: number, end: number, signal?: AbortSignal): Promise<Uint8Array> {
    const { place } = tensor;
    if ('inline' in place) return place.inline.subarray(start, end);
    const { file, start: from } = tensor.external ? stretch(tensor) : place;
    if (from + end > (this.sizes.get(file) ?? 0)) refuse(file, `the tensor "${tensor.name.slice(0, 200)}" ends after the file`);
    return this.files.read(file, from + start, from + end, signal);
  }

  /** Numbers [first, first + count) of a tensor of whole bytes, in f32. */
  async numbers(tensor: OnnxTensor, first: number, count: number, signal?: AbortSignal): Promise<Float32Array> {
    const type = knownType(tensor);
    const size = tensorBytes(1, type);
    if (type === 'u4' || type === 'i4') {
      const start = Math.floor(first / 2);
      return nibbles(await this.read(tensor, start, Math.ceil((first + count) / 2), signal), type, first - 2 * start, count);
    }
    return decodeF32(await this.read(tensor, first * size, (first + count) * size, signal), typeNames[type], tensor.name);
  }
}

function refuse(file: string, problem: string): never {
  throw new TillerError('model/file', { file, problem });
}

export function knownType({ type, name, place }: OnnxTensor): ElementType {
  return type ?? refuse(place.file, `the tensor "${name.slice(0, 200)}" has a type that is not read`);
}

/** Names of element types as safetensors has them. */
const typeNames: Readonly<Record<Exclude<ElementType, 'u4' | 'i4'>, string>> = {
  f32: 'F32', f16: 'F16', bf16: 'BF16', f64: 'F64', bool: 'BOOL',
  u8: 'U8', i8: 'I8', u16: 'U16', i16: 'I16', u32: 'U32', i32: 'I32', u64: 'U64', i64: 'I64',
}; // prettier-ignore

/** Where an external tensor lies, from its own type and shape where the file states no length; a stated one has to agree. */
function stretch(tensor: OnnxTensor): { readonly file: string; readonly start: number; readonly end: number } {
  const { place, dims, name } = tensor;
  if ('inline' in place) return { file: place.file, start: 0, end: 0 };
  if (tensor.type === null) return { ...place, end: Math.max(place.end, place.start) };
  const needed = tensorBytes(elementsOf(dims), tensor.type);
  if (place.end >= 0 && place.end - place.start !== needed) {
    const problem = `has ${place.end - place.start} bytes, its shape [${dims.join(', ')}] of ${tensor.type} needs ${needed}`;
    refuse(place.file, `the tensor "${name.slice(0, 200)}" ${problem}`);
  }
  return { ...place, end: place.start + needed };
}

/** Four-bit numbers, the low half of a byte first. @param from in numbers */
function nibbles(bytes: Uint8Array, type: 'u4' | 'i4', from: number, count: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => {
    const four = (bytes[(from + i) >> 1] >> (((from + i) & 1) * 4)) & 15;
    return type === 'i4' && four > 7 ? four - 16 : four;
  });
}
