import { FunctionBuilder, get, i16x8, set, wasmModule, f32x4 } from '../../../wasm/assembler.ts';

/** Whether WebAssembly here knows the relaxed SIMD instructions: Chromium since 114, Node since 21. */
export function relaxedSimd(): boolean {
  const f = new FunctionBuilder();
  const value = f.local('v128');
  return WebAssembly.validate(wasmModule({ f: f.body(set(value, i16x8.relaxedDot(f32x4.zero, f32x4.zero)), set(value, get(value))) }, 1));
}
