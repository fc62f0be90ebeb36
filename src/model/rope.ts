import type { RopeSpec } from './spec.ts';

/**
 * Angle per position of each rotated pair (i, i + headDim/2): theta^(-2i/headDim), scaled as the config says. In f64.
 * The llama3 form keeps short wavelengths, divides long ones by `factor` and blends between (Llama 3.1 model card and reference code).
 */
export function ropeFrequencies(rope: RopeSpec, headDim: number): Float64Array {
  const out = new Float64Array(headDim / 2);
  const { scaling } = rope;
  for (let i = 0; i < out.length; i++) {
    const frequency = rope.theta ** ((-2 * i) / headDim);
    if (scaling === null) {
      out[i] = frequency;
    } else if (scaling.type === 'linear') {
      out[i] = frequency / scaling.factor;
    } else {
      const wavelength = (2 * Math.PI) / frequency;
      const low = scaling.originalMaxPositions / scaling.lowFreqFactor;
      const high = scaling.originalMaxPositions / scaling.highFreqFactor;
      if (wavelength < high) out[i] = frequency;
      else if (wavelength > low) out[i] = frequency / scaling.factor;
      else {
        const smooth =
          (scaling.originalMaxPositions / wavelength - scaling.lowFreqFactor) / (scaling.highFreqFactor - scaling.lowFreqFactor);
        out[i] = ((1 - smooth) * frequency) / scaling.factor + smooth * frequency;
      }
    }
  }
  return out;
}

/** Cosines and sines of positions 0..count-1: two arrays [count, headDim/2], computed in f64 and rounded once to f32. */
export function ropeTable(rope: RopeSpec, headDim: number, count: number): { cos: Float32Array; sin: Float32Array } {
  const frequencies = ropeFrequencies(rope, headDim);
  const half = frequencies.length;
  const cos = new Float32Array(count * half);
  const sin = new Float32Array(count * half);
  for (let position = 0; position < count; position++) {
    for (let i = 0; i < half; i++) {
      const angle = position * frequencies[i];
      cos[position * half + i] = Math.cos(angle);
      sin[position * half + i] = Math.sin(angle);
    }
  }
  return { cos, sin };
}
