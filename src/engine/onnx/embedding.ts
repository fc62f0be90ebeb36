import { bf16ToF32, f16ToF32 } from '../../formats/float16.ts';
import { dequantizeRows, GROUP, groupsOf, type QuantizedRows } from '../../model/quantize.ts';

/** The embedding as it was stored, or in int8: rows are widened when they are looked up. */
export type EmbeddingTable =
  | { readonly kind: 'f32'; readonly values: Float32Array }
  | { readonly kind: 'f16' | 'bf16'; readonly bits: Uint16Array }
  | { readonly kind: 'q8'; readonly quantized: QuantizedRows };

/** Writes the embedding of a token, times `scale`, to `out` at `base`. */
export function embedRow(table: EmbeddingTable, token: number, width: number, scale: number, out: Float32Array, base: number): void {
  const row = rowOf(table, token, width);
  if (scale === 1) out.set(row, base);
  else for (let i = 0; i < width; i++) out[base + i] = row[i] * scale;
}

function rowOf(table: EmbeddingTable, token: number, width: number): Float32Array {
  const from = token * width;
  switch (table.kind) {
    case 'f32':
      return table.values.subarray(from, from + width);
    case 'f16':
      return f16ToF32(table.bits.subarray(from, from + width));
    case 'bf16':
      return bf16ToF32(table.bits.subarray(from, from + width));
    case 'q8': {
      const groups = groupsOf(width);
      const data = table.quantized.data.subarray(token * groups * GROUP, (token + 1) * groups * GROUP);
      const scales = table.quantized.scales.subarray(token * groups, (token + 1) * groups);
      return dequantizeRows({ data, scales }, 1, width, 'q8');
    }
  }
}
