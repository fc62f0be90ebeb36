/**
 * Half precision without Float16Array (absent in Node 20). Bits travel as Uint16Array; bulk conversion goes through typed arrays.
 * All platforms that JavaScript runs on are little-endian; the formats read here are too.
 */

const floatCell = new Float32Array(1);
const bitCell = new Uint32Array(floatCell.buffer);

/** IEEE binary16 bits of a number, rounded to nearest, ties to even; overflow goes to infinity. */
export function f16Bits(value: number): number {
  floatCell[0] = value;
  const bits = bitCell[0];
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x477ff000) return sign | 0x7c00; // from 65520 on
  if (magnitude >= 0x38800000) {
    return sign | ((magnitude + 0xfff + ((magnitude >>> 13) & 1) - 0x38000000) >>> 13);
  }
  if (magnitude < 0x33000000) return sign; // under half of the smallest subnormal
  const shift = 126 - (magnitude >>> 23);
  const mantissa = (magnitude & 0x7fffff) | 0x800000;
  const quotient = mantissa >>> shift;
  const rest = mantissa & ((1 << shift) - 1);
  const half = 1 << (shift - 1);
  return sign | (quotient + (rest > half || (rest === half && (quotient & 1) === 1) ? 1 : 0));
}

function f32BitsOfHalf(half: number): number {
  const sign = (half & 0x8000) << 16;
  const exponent = (half >>> 10) & 0x1f;
  let mantissa = half & 0x3ff;
  if (exponent === 0x1f) return (sign | 0x7f800000 | (mantissa << 13)) >>> 0;
  if (exponent !== 0) return (sign | ((exponent + 112) << 23) | (mantissa << 13)) >>> 0;
  if (mantissa === 0) return sign >>> 0;
  let shifted = 113;
  while ((mantissa & 0x400) === 0) {
    mantissa <<= 1;
    shifted--;
  }
  return (sign | (shifted << 23) | ((mantissa & 0x3ff) << 13)) >>> 0;
}

let table: Uint32Array | null = null;

/** f32 bit patterns of all 65536 halves: one lookup a value beats bit arithmetic when millions are converted. */
function halfTable(): Uint32Array {
  if (!table) {
    table = new Uint32Array(65536);
    for (let half = 0; half < 65536; half++) table[half] = f32BitsOfHalf(half);
  }
  return table;
}

/** The number that binary16 bits stand for. */
export function f16Value(bits: number): number {
  bitCell[0] = f32BitsOfHalf(bits & 0xffff);
  return floatCell[0];
}

/** binary16 -> f32, exact (signalling NaNs may become quiet). */
export function f16ToF32(bits: Uint16Array, out: Float32Array = new Float32Array(bits.length)): Float32Array {
  const words = new Uint32Array(out.buffer, out.byteOffset, out.length);
  const lookup = halfTable();
  for (let i = 0; i < bits.length; i++) words[i] = lookup[bits[i]];
  return out;
}

/** f32 -> binary16, round to nearest even. */
export function f32ToF16(values: Float32Array, out: Uint16Array = new Uint16Array(values.length)): Uint16Array {
  for (let i = 0; i < values.length; i++) out[i] = f16Bits(values[i]);
  return out;
}

/** bfloat16 -> f32, exact: the upper half of the word. */
export function bf16ToF32(bits: Uint16Array, out: Float32Array = new Float32Array(bits.length)): Float32Array {
  const words = new Uint32Array(out.buffer, out.byteOffset, out.length);
  for (let i = 0; i < bits.length; i++) words[i] = bits[i] << 16;
  return out;
}

/** bfloat16 bits of a number, round to nearest even. */
export function bf16Bits(value: number): number {
  floatCell[0] = value;
  const bits = bitCell[0];
  if ((bits & 0x7fffffff) > 0x7f800000) return (bits >>> 16) | 0x40;
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}
