import { forwardOrder, type PointName } from '../../graph/points.ts';
import type { ModelSpec } from '../../model/spec.ts';
import { headQuads, type KvCache } from './cache.ts';
import type { Dispatch } from './dispatch.ts';
import type { Arithmetic, Matmul } from './matmul.ts';
import type { ModelWeights } from './model-weights.ts';
import type { Params } from './params.ts';
import type { KernelVariant } from './pipelines.ts';
import { paddedWidths, type Activations } from './scratch.ts';
import type { Matrix } from './weights.ts';

/** Where the rows of a point lie while it can be read or edited. */
export interface PointView {
  readonly buffer: GPUBuffer;
  /** f32 a row of the buffer. */
  readonly stride: number;
  /** First column of the point in the buffer. */
  readonly column: number;
}

/** What a request does at the points of the forward pass: edits, readings, captures. */
export interface Taps {
  touches(point: PointName, layer: number): boolean;
  dispatches(point: PointName, layer: number, view: PointView, rows: number): Dispatch[];
}

/** Everything on the device that a forward pass reads. */
export interface ForwardModel {
  readonly spec: ModelSpec;
  readonly weights: ModelWeights;
  readonly params: Params;
  readonly matmul: Matmul;
  readonly cache: KvCache;
  /** Uniform of shaders/call.wgsl. */
  readonly call: GPUBuffer;
  /** The adapter computes on the CPU. */
  readonly software: boolean;
  /** (cos, sin) table of each layer. */
  readonly rope: readonly GPUBuffer[];
  readonly arithmetic: { readonly projections: Arithmetic; readonly down: Arithmetic; readonly head: Arithmetic };
}

export interface ForwardCall {
  readonly rows: number;
  /** Number of attention spans and the most rows one of them has. */
  readonly spans: number;
  readonly spanRows: 1 | 4;
  readonly activations: Activations;
  readonly taps: Taps | null;
  /** f32 [rows, padded vocabulary]; null: no logits. */
  readonly logits: GPUBuffer | null;
  /**
   * With logits null: place in the forward pass (`forwardOrder`) behind which nothing is wanted, so that the pass may end there. Keys and
   * values are kept in every layer that comes before it.
   */
  readonly until: number;
}

/** Nothing but keys and values is wanted. */
export const untilKeys = (spec: ModelSpec): number => forwardOrder('v', spec.layers - 1, spec.layers);
/** The keys and values that later positions need to get to a place. */
export function keysUntil(spec: ModelSpec, until: number): number {
  for (let layer = spec.layers - 1; layer >= 0; layer -= 1) {
    if (until >= forwardOrder('q', layer, spec.layers)) return Math.min(until, forwardOrder('v', layer, spec.layers));
  }
  return until;
}
/** To the last norm, whose output is left in `Activations.x`. */
export const untilNorm = (spec: ModelSpec): number => forwardOrder('final_norm', -1, spec.layers);

export const ATTENTION_SPAN = 4;

export function attentionVariant(spec: ModelSpec, cacheFormat: string, spanRows: number, SOFTWARE: boolean): KernelVariant {
  const HEAD_QUADS = headQuads(spec);
  return {
    shader: 'attention',
    includes: { kv: `kv_${cacheFormat}` },
    defines: { HEAD_DIM: spec.headDim, HEAD_QUADS, QR: spanRows, QUERIES: spanRows * HEAD_QUADS, SCORES: spanRows * 64, SOFTWARE },
  };
}

export function ropeVariant(spec: ModelSpec, cacheFormat: string, headNorm: boolean, rope: boolean): KernelVariant {
  const QUADS = headQuads(spec);
  return {
    shader: 'rope_cache',
    includes: { kv: `kv_${cacheFormat}` },
    defines: { HEAD_DIM: spec.headDim, HEAD_PAD: QUADS * 4, QUADS, HEAD_NORM: headNorm, ROPE: rope },
  };
}

export const residVariant = (add: boolean, post: boolean, norm: boolean): KernelVariant => ({
  shader: 'resid_norm',
  defines: { ADD: add, POST: add && post, NORM: norm },
});

export const gatedVariant = (spec: ModelSpec, act: boolean, mul: boolean): KernelVariant => ({
  shader: 'gated_activation',
  includes: { activation: `activation_${spec.activation}` },
  defines: { ACT: act, MUL: mul },
});

export const embedVariant = (format: string): KernelVariant => ({ shader: 'embed', includes: { weights: `weights_${format}` } });

/**
 * The forward pass of one call as a list of dispatches: eight a layer when nothing taps it. Blocks are separate functions of
 * explicit inputs and outputs, so that a backward pass can be put beside each.
 */
export function forwardDispatches(model: ForwardModel, call: ForwardCall): Dispatch[] {
  const { spec, weights, params, cache } = model;
  const { activations: a, rows, taps } = call;
  const w = paddedWidths(spec);
  const list: Dispatch[] = [];
  const callBinding = { buffer: model.call };
  const queryWidth = spec.heads * spec.headDim;
  const kvWidth = spec.kvHeads * spec.headDim;

  const until = call.logits ? Number.POSITIVE_INFINITY : call.until;
  const order = (point: PointName, layer: number): number => forwardOrder(point, layer, spec.layers);
  const touches = (point: PointName, layer: number): boolean => taps?.touches(point, layer) ?? false;
  const tap = (point: PointName, layer: number, buffer: GPUBuffer, stride: number, column = 0): void => {
    if (taps && touches(point, layer)) list.push(...taps.dispatches(point, layer, { buffer, stride, column }, rows));
  };
  const product = (matrix: Matrix, x: GPUBuffer, out: GPUBuffer, outStride: number, arithmetic: Arithmetic, gated = false): void => {
    list.push(
      ...model.matmul.dispatches(matrix, rows, { call: model.call, x, out, outStride }, arithmetic, gated ? spec.activation : null),
    );
  };
  /** h += block (POST: normed first), x = norm(h), or one of the two. */
  const resid = (add: boolean, norm: GPUBuffer | null, post: GPUBuffer): void => {
    list.push({
      variant: residVariant(add, spec.sandwichNorm, norm !== null),
      bindings: [
        null,
        params.get([spec.hidden, w.hidden, { f32: spec.normEps }, { f32: spec.normOffset }]),
        { buffer: a.h },
        { buffer: a.block },
        { buffer: post },
        { buffer: norm ?? weights.zeros },
        { buffer: a.x },
      ],
      workgroups: [rows, 1, 1],
      cost: rows * spec.hidden * 8,
    });
  };
  const addThenNorm = (points: readonly [PointName, number][], norm: GPUBuffer, post: GPUBuffer): void => {
    if (!points.some(([point, layer]) => touches(point, layer))) {
      resid(true, norm, post);
      return;
    }
    resid(true, null, post);
    for (const [point, layer] of points) tap(point, layer, a.h, w.hidden);
    resid(false, norm, post);
  };
  const rope = (layer: number, headNorm: boolean, rotate: boolean): void => {
    const kv = cache.layer(layer);
    list.push({
      variant: ropeVariant(spec, cache.format, headNorm, rotate),
      bindings: [
        null,
        params.get([spec.heads, spec.kvHeads, w.qkv, cache.capacity, { f32: spec.normEps }, { f32: spec.normOffset }, 0, 0]),
        { buffer: a.qkv },
        { buffer: a.table },
        { buffer: model.rope[layer] },
        { buffer: weights.layers[layer].headNorms },
        { buffer: kv.keys },
        { buffer: kv.values },
      ],
      workgroups: [spec.heads + 2 * spec.kvHeads, rows, 1],
      cost: rows * w.qkv * 4,
    });
  };

  const embedOctets = weights.embed.octets;
  for (const part of weights.embed.parts) {
    list.push({
      variant: embedVariant(weights.embed.format),
      bindings: [
        callBinding,
        params.get([embedOctets, part.first, part.count, { f32: spec.embedScale }]),
        { buffer: a.table },
        { buffer: part.weights },
        part.scales ? { buffer: part.scales } : null,
        { buffer: a.h },
      ],
      workgroups: [Math.ceil(embedOctets / 64), rows, 1],
      cost: rows * spec.hidden,
    });
  }
  tap('embed', -1, a.h, w.hidden);
  tap('resid_pre', 0, a.h, w.hidden);
  resid(false, weights.layers[0].inputNorm, weights.zeros);

  for (let layer = 0; layer < spec.layers; layer += 1) {
    const lw = weights.layers[layer];
    const last = layer === spec.layers - 1;
    if (until < order('q', layer)) return list;

    product(lw.qkv, a.x, a.qkv, w.qkv, model.arithmetic.projections);
    if (touches('q', layer) || touches('k', layer) || touches('v', layer)) {
      if (spec.headNorm) rope(layer, true, false);
      tap('q', layer, a.qkv, w.qkv, 0);
      tap('k', layer, a.qkv, w.qkv, queryWidth);
      tap('v', layer, a.qkv, w.qkv, queryWidth + kvWidth);
      rope(layer, false, true);
    } else {
      rope(layer, spec.headNorm, true);
    }
    if (until <= order('v', layer)) return list;

    const kv = cache.layer(layer);
    list.push({
      variant: attentionVariant(spec, cache.format, call.spanRows, model.software),
      bindings: [
        null,
        params.get([
          spec.heads,
          spec.kvHeads,
          w.qkv,
          w.query,
          cache.capacity,
          spec.layerSpecs[layer].window ?? 0,
          { f32: spec.attentionScale },
          headQuads(spec),
        ]),
        { buffer: a.qkv },
        { buffer: a.table },
        { buffer: a.spans },
        { buffer: kv.keys },
        { buffer: kv.values },
        { buffer: a.z },
      ],
      workgroups: [spec.heads, call.spans, 1],
      // The length of the context is not known here; a few hundred positions are assumed.
      cost: rows * queryWidth * 512,
    });
    tap('z', layer, a.z, w.query);
    if (until <= order('z', layer)) return list;
    product(lw.o, a.z, a.block, w.hidden, model.arithmetic.projections);
    tap('attn_out', layer, a.block, w.hidden);
    addThenNorm([['resid_mid', layer]], lw.preMlpNorm, lw.postAttnNorm);

    if (rows <= model.matmul.matvecRows && !touches('mlp_act', layer)) {
      product(lw.gateUp, a.x, a.hidden, w.intermediate, model.arithmetic.projections, true);
    } else {
      product(lw.gateUp, a.x, a.gateUp, 2 * spec.intermediate, model.arithmetic.projections);
      const gated = (act: boolean, mul: boolean, source: GPUBuffer, out: GPUBuffer): void => {
        list.push({
          variant: gatedVariant(spec, act, mul),
          bindings: [
            callBinding,
            params.get([spec.intermediate, w.intermediate, 0, 0]),
            { buffer: a.gateUp },
            { buffer: source },
            { buffer: out },
          ],
          workgroups: [Math.ceil(spec.intermediate / 64), rows, 1],
          cost: rows * spec.intermediate * 8,
        });
      };
      if (touches('mlp_act', layer)) {
        gated(true, false, weights.zeros, a.act);
        tap('mlp_act', layer, a.act, w.intermediate);
        gated(false, true, a.act, a.hidden);
      } else {
        gated(true, true, a.act, a.hidden);
      }
    }
    tap('mlp_hidden', layer, a.hidden, w.intermediate);
    product(lw.down, a.hidden, a.block, w.hidden, model.arithmetic.down);
    tap('mlp_out', layer, a.block, w.hidden);
    addThenNorm(
      last
        ? [['resid_post', layer]]
        : [
            ['resid_post', layer],
            ['resid_pre', layer + 1],
          ],
      last ? weights.finalNorm : weights.layers[layer + 1].inputNorm,
      lw.postMlpNorm,
    );
  }

  tap('final_norm', -1, a.x, w.hidden);
  if (call.logits) list.push(...headDispatches(model, rows, a.x, call.logits, taps));
  return list;
}

/** Logits of normed rows, f32 [rows, padded vocabulary], and what is tapped there. */
export function headDispatches(model: ForwardModel, rows: number, x: GPUBuffer, logits: GPUBuffer, taps: Taps | null): Dispatch[] {
  const { vocab } = paddedWidths(model.spec);
  const list = model.matmul.dispatches(
    model.weights.head,
    rows,
    { call: model.call, x, out: logits, outStride: vocab },
    model.arithmetic.head,
    null,
  );
  if (!taps?.touches('logits', -1)) return list;
  return [...list, ...taps.dispatches('logits', -1, { buffer: logits, stride: vocab, column: 0 }, rows)];
}
