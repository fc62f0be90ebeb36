import type { Crc32 } from '../formats/crc32.ts';
import { isRecord, readJson } from '../formats/json.ts';
import { safetensorsHeader, type SafetensorsEntry } from '../formats/safetensors.ts';
import { tensorLayout } from './layout.ts';
import { keptAs } from './memory.ts';
import { GROUP, groupsOf } from './quantize.ts';
import type { ModelSpec } from './spec.ts';
import type { Quantization, WeightSource } from './weights.ts';

/**
 * A file of packed weights: safetensors with two tensors for each matrix that an engine would quantise, `NAME.q4` or `NAME.q8` (U8,
 * [rows, bytes]) and `NAME.scales` (F16, [rows, groups]), in the layout of `quantizeRows`. What is not quantised is not in it: the source is
 * still there, and that is little. The header says what the file was made from; it has the same length before and after the checksums
 * are known (docs/decisions/weight-cache.md).
 */

/** Changes when the same weights would be packed otherwise, or the header says other things. */
const PACKING = 2;
const FORMAT = 'tiller-packed-weights';

/** One matrix of the file. */
export interface PackedMatrix {
  readonly name: string;
  readonly kind: 'q8' | 'q4';
  readonly rows: number;
  /** Of one row. */
  readonly dataBytes: number;
  readonly scaleBytes: number;
}

/** What a packed file was made from. */
export interface PackedOrigin {
  /** `WeightSource.identity`. */
  readonly identity: string;
  readonly quantization: 'q8' | 'q4';
  /** Files of the source as they were: a source that was touched since is packed anew. */
  readonly files: readonly OriginFile[];
}

/** By its hash where that is known, else by when it was changed last, in milliseconds. */
export type OriginFile = { readonly name: string; readonly bytes: number } & ({ readonly sha256: string } | { readonly modified: number });

/** The matrices that engines keep in int8 or int4, in the order of loading. */
export function packedLayout(spec: ModelSpec, source: Pick<WeightSource, 'tensors'>, quantization: Quantization): PackedMatrix[] {
  return tensorLayout(spec).flatMap((requirement) => {
    const { name, shape } = requirement;
    if (shape.length === 1) return [];
    const kind = keptAs(requirement, source.tensors.get(name)?.dtype ?? 'F32', quantization);
    if (kind === 'none') return [];
    const groups = groupsOf(shape[1]);
    return [{ name, kind, rows: shape[0], dataBytes: groups * (kind === 'q4' ? GROUP / 2 : GROUP), scaleBytes: groups * 2 }];
  });
}

export const packedBytes = (layout: readonly PackedMatrix[]): number =>
  layout.reduce((sum, { rows, dataBytes, scaleBytes }) => sum + rows * (dataBytes + scaleBytes), 0);

const dataName = ({ name, kind }: PackedMatrix): string => `${name}.${kind}`;
const scalesName = ({ name }: PackedMatrix): string => `${name}.scales`;

/** CRC-32 of the data and the scales of each matrix, in the order of the layout. The header has them, and then that of the note, as hexadecimal digits. */
export type Checksums = readonly { readonly data: number; readonly scales: number }[];

const hex = (value: number): string => (value >>> 0).toString(16).padStart(8, '0');

/** Length, header and padding. Zeros stand for checksums that are not known yet. */
export function packedHeader(
  layout: readonly PackedMatrix[],
  origin: PackedOrigin,
  note: string,
  checksums: Checksums | null,
  crc32: Crc32,
): Uint8Array {
  const tensors = layout.flatMap((matrix) => [
    { name: dataName(matrix), dtype: 'U8', shape: [matrix.rows, matrix.dataBytes] },
    { name: scalesName(matrix), dtype: 'F16', shape: [matrix.rows, matrix.scaleBytes / 2] },
  ]);
  const sums = layout.map((_, index) => `${hex(checksums?.[index].data ?? 0)}${hex(checksums?.[index].scales ?? 0)}`).join('');
  return safetensorsHeader(tensors, {
    format: FORMAT,
    packing: String(PACKING),
    origin: JSON.stringify(origin),
    note,
    crc32: sums + hex(crc32(new TextEncoder().encode(note))),
  });
}

export interface PackedPlace {
  readonly data: SafetensorsEntry;
  readonly scales: SafetensorsEntry;
  readonly crc: { readonly data: number; readonly scales: number };
}

/**
 * Where each matrix lies in a packed file, or why the file is of no use: made from something else, by another version, or not whole.
 * @param entries of the file's header, already checked against its size
 */
export function packedPlaces(
  entries: ReadonlyMap<string, SafetensorsEntry>,
  metadata: unknown,
  layout: readonly PackedMatrix[],
  origin: PackedOrigin,
  sumOf: Crc32,
): { readonly places: ReadonlyMap<string, PackedPlace>; readonly note: string } | { readonly stale: string } {
  if (!isRecord(metadata) || metadata.format !== FORMAT) return { stale: 'it is no file of packed weights' };
  if (metadata.packing !== String(PACKING)) return { stale: 'another version packed it' };
  if (metadata.origin !== JSON.stringify(origin)) return { stale: whatChanged(metadata.origin, origin) };
  const { crc32, note } = metadata;
  if (typeof crc32 !== 'string' || crc32.length !== 16 * layout.length + 8 || !/^[0-9a-f]*$/.test(crc32) || typeof note !== 'string')
    return { stale: 'its checksums are damaged' };
  if (crc32.slice(-8) !== hex(sumOf(new TextEncoder().encode(note)))) return { stale: 'its header is damaged' };
  if (entries.size !== 2 * layout.length) return { stale: 'it holds other tensors' };
  const places = new Map<string, PackedPlace>();
  for (const [index, matrix] of layout.entries()) {
    const data = entries.get(dataName(matrix));
    const scales = entries.get(scalesName(matrix));
    if (data?.end !== (data?.start ?? 0) + matrix.rows * matrix.dataBytes) return { stale: `it has another ${matrix.name}` };
    if (scales?.end !== (scales?.start ?? 0) + matrix.rows * matrix.scaleBytes) return { stale: `it has another ${matrix.name}` };
    const at = 16 * index;
    const crc = { data: parseInt(crc32.slice(at, at + 8), 16), scales: parseInt(crc32.slice(at + 8, at + 16), 16) };
    places.set(matrix.name, { data, scales, crc });
  }
  return { places, note };
}

function whatChanged(text: unknown, origin: PackedOrigin): string {
  const json = typeof text === 'string' ? readJson(new TextEncoder().encode(text)) : null;
  const old = json && 'value' in json && isRecord(json.value) ? json.value : {};
  if (old.identity !== origin.identity) return 'the source has other weights now';
  return 'a file of the source was changed since';
}
