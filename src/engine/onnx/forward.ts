import { forwardOrder, type PointName } from '../../graph/points.ts';
import { CPU_LOGIT_BYTES } from '../../model/cpu-memory.ts';
import type { Pause } from '../pause.ts';
import { rmsNorm } from '../reference/ops/rmsNorm.ts';
import { rotary } from '../reference/ops/rotary.ts';
import { throwIfAborted } from '../request.ts';
import type { KvCache } from './cache.ts';
import { embedRow } from './embedding.ts';
import type { OnnxModel } from './model.ts';
import type { Arrays, Runnable } from './runnable.ts';
import type { Scratch } from './scratch.ts';

/** Consecutive positions of one slot of the cache, which holds everything before them. */
export interface Segment {
  readonly slot: number;
  readonly from: number;
  /** Tokens at positions from, from + 1, ... */
  readonly ids: readonly number[];
}

/** Somebody who reads or changes activations between the pieces. */
export interface PointTap {
  /** Whether anything happens at a point of a layer (-1 for points without one). */
  touches(point: PointName, layer: number): boolean;
  /** values is [rows, width] and may be changed in place; `rows` are indices of the call's rows, null for all. */
  at(point: PointName, layer: number, values: Float32Array, width: number, rows: readonly number[] | null): void;
}

export interface ForwardCall {
  readonly segments: readonly Segment[];
  /** Edits and readings, then captures: each sees what those before it left. */
  readonly taps: readonly PointTap[];
  /** Indices of the rows whose logits are wanted, ascending. */
  readonly looked: readonly number[];
  /** Logits of rows [first, first + count) of `looked`, [count, vocab]; the array is used again afterwards. */
  readonly onLogits?: (logits: Float32Array, first: number, count: number) => Promise<void>;
  /** Nothing after this place of the forward pass is needed; absent: run to the end. */
  readonly until?: { readonly point: PointName; readonly layer: number };
  readonly signal?: AbortSignal;
}

/**
 * One forward pass over rows of any sequences. Products take all rows together; attention takes the segments one after another. Edits
 * are done on plain arrays between the pieces, so whatever a graph does, the same sessions run.
 */
export async function forward(model: OnnxModel, cache: KvCache, scratch: Scratch, pause: Pause, call: ForwardCall): Promise<void> {
  await new Pass(model, cache, scratch, pause, call).run();
}

class Pass {
  private readonly rows: number;
  /** Place in the forward pass after which nothing is needed. */
  private readonly last: number;

  constructor(
    private readonly model: OnnxModel,
    private readonly cache: KvCache,
    private readonly scratch: Scratch,
    private readonly pause: Pause,
    private readonly call: ForwardCall,
  ) {
    this.rows = call.segments.reduce((sum, { ids }) => sum + ids.length, 0);
    const { layers } = model.spec;
    this.last = call.until ? forwardOrder(call.until.point, call.until.layer, layers) : Infinity;
  }

  async run(): Promise<void> {
    const { spec } = this.model;
    const x = this.embed();
    this.point('embed', -1, x, spec.hidden);
    if (this.over('embed', -1)) return;
    for (let layer = 0; layer < spec.layers; layer++) {
      throwIfAborted(this.call.signal);
      this.point('resid_pre', layer, x, spec.hidden);
      if (this.over('resid_pre', layer)) return;
      if (!(await this.attention(layer, x))) return;
      if (!(await this.mlp(layer, x))) return;
    }
    throwIfAborted(this.call.signal);
    await this.logits(x);
  }

  private embed(): Float32Array {
    const { spec, embedding } = this.model;
    const x = this.scratch.get('x', this.rows * spec.hidden);
    let row = 0;
    for (const { ids } of this.call.segments) {
      for (const id of ids) embedRow(embedding, id, spec.hidden, spec.embedScale, x, spec.hidden * row++);
    }
    return x;
  }

  /** x becomes x + attention block(x): the points q, k, v, z, attn_out, resid_mid. False where nothing after it is needed. */
  private async attention(layer: number, x: Float32Array): Promise<boolean> {
    const { spec, layers } = this.model;
    const { rows } = this;
    const w = layers[layer];
    const queryWidth = spec.heads * spec.headDim;
    const kvWidth = spec.kvHeads * spec.headDim;
    const q = this.scratch.get('q', rows * queryWidth);
    const k = this.scratch.get('k', rows * kvWidth);
    const v = this.scratch.get('v', rows * kvWidth);
    await this.products(w.qkv, { x }, { q, k, v });
    this.point('q', layer, q, queryWidth);
    this.point('k', layer, k, kvWidth);
    this.point('v', layer, v, kvWidth);
    if (this.over('v', layer)) return false;

    const { cos, sin } = w.rope;
    let row = 0;
    for (const { from, ids } of this.call.segments) {
      for (let at = 0; at < ids.length; at++, row++) {
        rotary(q, row * queryWidth, spec.heads, spec.headDim, cos, sin, from + at);
        rotary(k, row * kvWidth, spec.kvHeads, spec.headDim, cos, sin, from + at);
      }
    }
    const z = this.scratch.get('z', rows * queryWidth);
    row = 0;
    for (const { slot, from, ids } of this.call.segments) {
      const count = ids.length;
      await this.model.attention.run(this.cache.layer(slot, layer), from, spec.layerSpecs[layer].window, this.scratch, {
        q: q.subarray(row * queryWidth, (row + count) * queryWidth),
        k: k.subarray(row * kvWidth, (row + count) * kvWidth),
        v: v.subarray(row * kvWidth, (row + count) * kvWidth),
        z: z.subarray(row * queryWidth, (row + count) * queryWidth),
      });
      row += count;
    }
    this.point('z', layer, z, queryWidth);
    if (this.over('z', layer)) return false;
    await this.add(w.output, 'attn_out', layer, z, x, w.postAttnNorm);
    if (this.over('attn_out', layer)) return false;
    this.point('resid_mid', layer, x, spec.hidden);
    return !this.over('resid_mid', layer);
  }

  /** x becomes x + MLP block(x): the points mlp_act, mlp_hidden, mlp_out, resid_post. */
  private async mlp(layer: number, x: Float32Array): Promise<boolean> {
    const { spec, layers } = this.model;
    const { rows } = this;
    const w = layers[layer];
    const width = spec.intermediate;
    const hidden = this.scratch.get('hidden', rows * width);
    if (this.touches('mlp_act', layer)) {
      const act = this.scratch.get('act', rows * width);
      const up = this.scratch.get('up', rows * width);
      await this.products(w.gateUp, { x }, { act, up });
      this.point('mlp_act', layer, act, width);
      for (let i = 0; i < hidden.length; i++) hidden[i] = act[i] * up[i];
    } else {
      await this.products(w.gateUp, { x }, { hidden });
    }
    if (this.over('mlp_act', layer)) return false;
    this.point('mlp_hidden', layer, hidden, width);
    if (this.over('mlp_hidden', layer)) return false;
    await this.add(w.down, 'mlp_out', layer, hidden, x, w.postMlpNorm);
    if (this.over('mlp_out', layer)) return false;
    this.point('resid_post', layer, x, spec.hidden);
    return !this.over('resid_post', layer);
  }

  /** x += block(inner), norm in between where there is one. Where somebody looks at the block's output the sum is made here. */
  private async add(
    piece: Runnable,
    point: 'attn_out' | 'mlp_out',
    layer: number,
    inner: Float32Array,
    x: Float32Array,
    postNorm: Float32Array | null,
  ): Promise<void> {
    const { hidden, normEps } = this.model.spec;
    const y = this.scratch.get('y', x.length);
    if (!this.touches(point, layer)) {
      await this.products(piece, { inner, x }, { y });
      x.set(y);
      return;
    }
    await this.products(piece, { inner, x }, { out: y });
    this.point(point, layer, y, hidden);
    if (postNorm) rmsNorm(y, postNorm, normEps, 0, this.rows, hidden, y);
    for (let i = 0; i < x.length; i++) x[i] += y[i];
  }

  /** Final norm and head: of the rows looked at, or of all where somebody acts or reads there. */
  private async logits(x: Float32Array): Promise<void> {
    const { spec } = this.model;
    const { looked, onLogits } = this.call;
    const touched = this.touches('logits', -1);
    const all = touched || this.touches('final_norm', -1);
    const needed = all ? Array.from({ length: this.rows }, (_, row) => row) : looked;
    if (needed.length === 0) return;
    const chosen = all ? x : this.gather('chosen', x, needed);
    const normed = this.scratch.get('normed', needed.length * spec.hidden);
    await this.products(this.model.finalNorm, { x: chosen }, { y: normed }, needed.length);
    this.point('final_norm', -1, normed, spec.hidden);
    if (this.over('final_norm', -1)) return;

    const wanted = touched ? needed : looked;
    const input = all && !touched ? this.gather('chosen', normed, looked) : normed;
    const place = new Map(looked.map((row, at) => [row, at]));
    const block = Math.max(1, Math.floor(CPU_LOGIT_BYTES / (spec.vocab * 4)));
    for (let first = 0; first < wanted.length; first += block) {
      throwIfAborted(this.call.signal);
      const count = Math.min(block, wanted.length - first);
      const logits = this.scratch.get('logits', count * spec.vocab);
      await this.products(this.model.head, { x: input.subarray(first * spec.hidden, (first + count) * spec.hidden) }, { logits }, count);
      const rows = wanted.slice(first, first + count);
      this.point('logits', -1, logits, spec.vocab, rows);
      if (!onLogits) continue;
      if (!touched) {
        await onLogits(logits, first, count);
        continue;
      }
      for (const [at, row] of rows.entries()) {
        const target = place.get(row);
        if (target !== undefined) await onLogits(logits.subarray(at * spec.vocab, (at + 1) * spec.vocab), target, 1);
      }
    }
  }

  private gather(name: string, x: Float32Array, rows: readonly number[]): Float32Array {
    const { hidden } = this.model.spec;
    const out = this.scratch.get(name, rows.length * hidden);
    rows.forEach((row, at) => out.set(x.subarray(row * hidden, (row + 1) * hidden), at * hidden));
    return out;
  }

  private touches(point: PointName, layer: number): boolean {
    return this.call.taps.some((tap) => tap.touches(point, layer));
  }

  private point(point: PointName, layer: number, values: Float32Array, width: number, rows: readonly number[] | null = null): void {
    for (const tap of this.call.taps) if (tap.touches(point, layer)) tap.at(point, layer, values, width, rows);
  }

  /** Whether nothing after this place is needed. */
  private over(point: PointName, layer: number): boolean {
    return forwardOrder(point, layer, this.model.spec.layers) >= this.last;
  }

  /** Runs a piece on [rows, width] arrays, each width being what the array's length says. */
  private async products(piece: Runnable, inputs: Arrays, outputs: Arrays, rows = this.rows): Promise<void> {
    // In WebAssembly a run ends before anything else is heard.
    if (this.pause.due()) await this.pause.turn();
    throwIfAborted(this.call.signal);
    await piece.run(rows, inputs, outputs);
  }
}
