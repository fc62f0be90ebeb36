import type { ModelSpec } from '../../../model/spec.ts';
import { activate, gate } from '../../reference/ops/activation.ts';
import { rmsNorm } from '../../reference/ops/rmsNorm.ts';
import type { BlockOutputWeights, GateUpWeights, QkvWeights } from '../pieces.ts';
import type { Matrix } from '../matrix.ts';
import type { Arrays, Runnable } from '../runnable.ts';
import { Scratch } from '../scratch.ts';
import type { Products } from './products.ts';

/** The pieces of pieces.ts on our own products. Norms and activations are the reference engine's. */

export interface KernelContext {
  readonly spec: ModelSpec;
  readonly products: Products;
  /** Shared by all pieces: one runs at a time. */
  readonly scratch: Scratch;
}

export const kernelContext = (spec: ModelSpec, products: Products): KernelContext => ({ spec, products, scratch: new Scratch() });

const nothing = (): Promise<void> => Promise.resolve();

/** x -> q, k, v. */
export function kernelQkv({ spec, products, scratch }: KernelContext, weights: QkvWeights): Runnable {
  const woven = products.add([weights.q, weights.k, weights.v]);
  const headNorms = [weights.qNorm, weights.kNorm];
  return {
    run(rows, { x }, { q, k, v }) {
      const normed = scratch.get('normed', x.length);
      rmsNorm(x, weights.norm, spec.normEps, 0, rows, spec.hidden, normed);
      products.multiply(woven, rows, normed, [q, k, v]);
      [q, k].forEach((values, i) => {
        const norm = headNorms[i];
        if (norm) rmsNorm(values, norm, spec.normEps, 0, values.length / spec.headDim, spec.headDim, values);
      });
    },
    release: nothing,
  };
}

/** inner, x -> out, or x + block(inner) as y. */
export function kernelBlockOutput({ spec, products, scratch }: KernelContext, { matrix, postNorm }: BlockOutputWeights): Runnable {
  const woven = products.add([matrix]);
  return {
    run(rows, { inner, x }, { out, y }: Partial<Arrays>) {
      const target = out ?? scratch.get('out', rows * spec.hidden);
      products.multiply(woven, rows, inner, [target]);
      if (!y) return;
      const added = postNorm ? scratch.get('added', target.length) : target;
      if (postNorm) rmsNorm(target, postNorm, spec.normEps, 0, rows, spec.hidden, added);
      for (let i = 0; i < y.length; i++) y[i] = x[i] + added[i];
    },
    release: nothing,
  };
}

/** x -> act and up, or hidden = act * up. */
export function kernelGateUp({ spec, products, scratch }: KernelContext, weights: GateUpWeights): Runnable {
  const woven = products.add([weights.gate, weights.up]);
  return {
    run(rows, { x }, outputs: Partial<Arrays>) {
      const normed = scratch.get('normed', x.length);
      rmsNorm(x, weights.norm, spec.normEps, 0, rows, spec.hidden, normed);
      const act = outputs.act ?? scratch.get('act', rows * spec.intermediate);
      const up = outputs.up ?? scratch.get('up', rows * spec.intermediate);
      products.multiply(woven, rows, normed, [act, up]);
      activate(spec.activation, act, act);
      if (outputs.hidden) gate(act, up, outputs.hidden);
    },
    release: nothing,
  };
}

/** x -> logits. */
export function kernelHead({ products }: KernelContext, matrix: Matrix): Runnable {
  const woven = products.add([matrix]);
  return { run: (rows, { x }, { logits }) => products.multiply(woven, rows, x, [logits]), release: nothing };
}
