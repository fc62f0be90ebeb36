import type { ProtoField, ProtoFile } from '../../formats/protobuf.ts';

/** Element types of TensorProto, by their numbers, with their bits. */
export const elementTypes = {
  f32: { id: 1, bits: 32 },
  u8: { id: 2, bits: 8 },
  i8: { id: 3, bits: 8 },
  u16: { id: 4, bits: 16 },
  i16: { id: 5, bits: 16 },
  i32: { id: 6, bits: 32 },
  i64: { id: 7, bits: 64 },
  bool: { id: 9, bits: 8 },
  f16: { id: 10, bits: 16 },
  f64: { id: 11, bits: 64 },
  u32: { id: 12, bits: 32 },
  u64: { id: 13, bits: 64 },
  bf16: { id: 16, bits: 16 },
  u4: { id: 21, bits: 4 },
  i4: { id: 22, bits: 4 },
} as const;
export type ElementType = keyof typeof elementTypes;
const typeNames = new Map<number, ElementType>(Object.entries(elementTypes).map(([name, { id }]) => [id, name as ElementType]));

/** Where the numbers of a tensor are: bytes of a file, or few enough to be kept. */
export type TensorPlace =
  { readonly file: string; readonly start: number; readonly end: number } | { readonly file: string; readonly inline: Uint8Array };

export interface OnnxTensor {
  readonly name: string;
  readonly dims: readonly number[];
  /** null for a type that is not known: the tensor can then not be used. */
  readonly type: ElementType | null;
  readonly place: TensorPlace;
  /** Of numbers in another file, unchecked until the file is looked at: `end` is -1 where the length is not stated. */
  readonly external: boolean;
}

const MAX_RANK = 8;
const MAX_NAME = 4096;
const MAX_ELEMENTS = 2 ** 40;
/** Numbers that are written one by one rather than as bytes: scalars, shapes and small tables. */
const MAX_LISTED = 2 ** 20;
/** Field numbers of TensorProto. */
const tensor = { dims: 1, type: 2, floats: 4, int32s: 5, int64s: 7, name: 8, raw: 9, external: 13, location: 14 };
const EXTERNAL = 1;

/** Types whose numbers int32_data and int64_data list, and f32, which has a field of its own. */
const listable: readonly ElementType[] = ['f32', 'u8', 'i8', 'u16', 'i16', 'i32', 'i64', 'bool', 'f16', 'bf16', 'u4', 'i4'];
const nowhere = (file: string): TensorPlace => ({ file, inline: new Uint8Array(0) });

/** Bytes that a tensor needs. */
export const tensorBytes = (elements: number, type: ElementType): number => Math.ceil((elements * elementTypes[type].bits) / 8);

export const elementsOf = (dims: readonly number[]): number => dims.reduce((product, length) => product * length, 1);

/**
 * A TensorProto: its shape, its type and where its numbers are.
 * @param path of the ONNX file; external data lie beside it
 * @throws model/file
 */
export async function readTensor(file: ProtoFile, message: ProtoField, path: string): Promise<OnnxTensor> {
  const dims: number[] = [];
  const listed: number[] = [];
  const external = new Map<string, string>();
  let name = '';
  let id = 0;
  let floats: ProtoField | null = null;
  let raw: ProtoField | null = null;
  let elsewhere = false;
  let kind: 'int32s' | 'int64s' = 'int64s';
  for await (const field of file.fields(message.start, message.end)) {
    switch (field.number) {
      case tensor.dims:
        await file.integers(field, dims, MAX_RANK);
        break;
      case tensor.type:
        id = await file.integer(field);
        break;
      case tensor.name:
        name = await file.text(field, MAX_NAME);
        break;
      case tensor.raw:
        raw = field;
        break;
      case tensor.floats:
        if (floats) file.refuse(`the tensor "${name.slice(0, 200)}" lists its numbers in pieces`);
        floats = field;
        break;
      case tensor.int32s:
      case tensor.int64s:
        kind = field.number === tensor.int32s ? 'int32s' : 'int64s';
        await file.integers(field, listed, MAX_LISTED);
        break;
      case tensor.external: {
        const [key, value] = await readEntry(file, field);
        external.set(key, value);
        break;
      }
      case tensor.location:
        elsewhere = (await file.integer(field)) === EXTERNAL;
        break;
    }
  }
  const wrong = (problem: string): never => file.refuse(`the tensor "${name.slice(0, 200)}" ${problem}`);
  if (dims.some((length) => length < 0) || elementsOf(dims) > MAX_ELEMENTS) wrong(`has the shape [${dims.join(', ')}]`);
  const type = typeNames.get(id) ?? null;
  const base = { name, dims, type };
  if (elsewhere) return { ...base, external: true, place: externalPlace(external, path, wrong) };
  const needed = type === null ? null : tensorBytes(elementsOf(dims), type);
  let place: TensorPlace;
  if (raw ?? floats) {
    const field = raw ?? floats;
    if (field?.wire !== 2 && !(floats && field?.wire === 5)) return wrong('has numbers of an unknown form');
    if (!raw && type !== 'f32') wrong('lists floats and is not of floats');
    place = { file: path, start: field.start, end: field.end };
    if (needed !== null && place.end - place.start !== needed)
      wrong(`has ${place.end - place.start} bytes, its shape [${dims.join(', ')}] of ${type} needs ${needed}`);
  } else {
    // Texts, and numbers listed in fields that are not read: no weight is stored so.
    if (listed.length === 0 && (type === null || !listable.includes(type)))
      return { ...base, type: null, external: false, place: nowhere(path) };
    if (listed.length !== elementsOf(dims)) wrong(`has ${listed.length} numbers, its shape is [${dims.join(', ')}]`);
    place = { file: path, inline: listedBytes(listed, kind, type) };
  }
  return { ...base, external: false, place };
}

async function readEntry(file: ProtoFile, message: ProtoField): Promise<[string, string]> {
  let key = '';
  let value = '';
  for await (const field of file.fields(message.start, message.end)) {
    if (field.number === 1) key = await file.text(field, MAX_NAME);
    else if (field.number === 2) value = await file.text(field, MAX_NAME);
  }
  return [key, value];
}

/** Beside the ONNX file or below it: a path that leads elsewhere could name any file of the machine. */
function externalPlace(external: ReadonlyMap<string, string>, path: string, wrong: (problem: string) => never): TensorPlace {
  const location = external.get('location');
  if (location === undefined) return wrong('lies in another file, which is not named');
  const parts = location.split('/');
  const plain = parts.every((part) => part !== '' && part !== '.' && part !== '..' && !/[\\:*?"<>|]/.test(part) && !hasControl(part));
  if (!plain) return wrong(`lies in "${location.slice(0, 200)}", which is not a file beside this one`);
  const number = (key: string): number | null => {
    const text = external.get(key);
    if (text === undefined) return null;
    const value = /^\d{1,16}$/.test(text) ? Number(text) : NaN;
    return Number.isSafeInteger(value) ? value : wrong(`has the ${key} "${text.slice(0, 100)}" in another file`);
  };
  const folder = path.slice(0, path.lastIndexOf('/') + 1);
  const start = number('offset') ?? 0;
  const length = number('length');
  return { file: folder + location, start, end: length === null ? -1 : start + length };
}

const hasControl = (text: string): boolean => [...text].some((character) => character.charCodeAt(0) < 32);

/** Numbers that were listed one by one, as the bytes of their type. */
function listedBytes(values: readonly number[], kind: 'int32s' | 'int64s', type: ElementType | null): Uint8Array {
  const narrow = kind === 'int32s' && (type === 'u8' || type === 'i8' || type === 'bool');
  const half = kind === 'int32s' && (type === 'f16' || type === 'bf16' || type === 'u16' || type === 'i16');
  if (narrow) return Uint8Array.from(values);
  if (half) return new Uint8Array(Uint16Array.from(values).buffer);
  if (kind === 'int32s') return new Uint8Array(Int32Array.from(values).buffer);
  return new Uint8Array(BigInt64Array.from(values, (value) => BigInt(Math.trunc(value))).buffer);
}
