import { f16Value } from '../../formats/float16.ts';

/** The scale of a block: binary16, little-endian, at any address. */
export const scaleAt = (bytes: Uint8Array, at: number): number => f16Value(bytes[at] | (bytes[at + 1] << 8));
