import { bf16Bits } from '../../src/formats/float16.ts';

/** Numbers as the little-endian bytes of bfloat16. */
export const f32ToBf16Bytes = (values: Float32Array): Uint8Array => new Uint8Array(Uint16Array.from(values, bf16Bits).buffer);
