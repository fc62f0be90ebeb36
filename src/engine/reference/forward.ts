import type { PointName } from '../../graph/points.ts';
import { rowsOf, type Interventions } from './interventions.ts';
import type { ReferenceModel } from './model.ts';
import { activate, gate } from './ops/activation.ts';
import { attention } from './ops/attention.ts';
import { matmul } from './ops/matmul.ts';
import { rmsNorm } from './ops/rmsNorm.ts';
import { rotary } from './ops/rotary.ts';
import type { Pause } from '../pause.ts';
import type { LaneRun, Row } from './run.ts';

/** Multiply-adds between two questions whether to pause: about 10 ms. */
const PRODUCT_SLICE = 8_000_000;
/** Positions whose logits are held at once when all are wanted. */
const LOGIT_BLOCK = 16;

export interface ForwardRequest {
  readonly model: ReferenceModel;
  readonly interventions: Interventions;
  /** Lanes in ascending order, all at the same position. */
  readonly runs: readonly LaneRun[];
  /** Positions to process: `ids[cache.length .. cache.length + count)` of each lane. */
  readonly count: number;
  readonly pause: Pause;
  /** Which positions' logits are handed to `onLogits`. */
  readonly logits: 'none' | 'last' | 'all';
  /** Logits of one position, by lane in the order of `runs`; the arrays are used again afterwards. */
  readonly onLogits?: (position: number, logits: readonly Float32Array[]) => void;
  /** Values of a point after its edits: [rows, width], rows lane by lane; not to be kept. `logits` comes in blocks of rows. */
  readonly onPoint?: (point: PointName, layer: number, values: Float32Array, width: number, rows: readonly Row[]) => void;
}

/**
 * The forward pass of all families, as loops: f32 storage, f64 accumulators. Layer by layer over all rows of the call, so a reading
 * held at the last prompt token is there before any row of a later layer runs. Every row is computed by itself: lanes and positions
 * beside it change nothing.
 */
export async function forward(request: ForwardRequest): Promise<void> {
  const { model, runs, count } = request;
  const { spec } = model;
  const pass = new Pass(request);
  for (const run of runs) run.cache.reserve(run.cache.length + count);

  const x = pass.embed();
  pass.point('embed', -1, x, spec.hidden);
  for (let layer = 0; layer < spec.layers; layer++) {
    if (request.pause.due()) await request.pause.turn();
    pass.point('resid_pre', layer, x, spec.hidden);
    await pass.attention(layer, x);
    pass.point('resid_mid', layer, x, spec.hidden);
    await pass.mlp(layer, x);
    pass.point('resid_post', layer, x, spec.hidden);
  }
  for (const run of runs) run.cache.length += count;
  const normed = new Float32Array(x.length);
  rmsNorm(x, model.finalNorm, spec.normEps, spec.normOffset, pass.rows.length, spec.hidden, normed);
  pass.point('final_norm', -1, normed, spec.hidden);
  await pass.logits(normed);
}

class Pass {
  readonly rows: readonly Row[];
  private readonly request: ForwardRequest;
  private readonly model: ReferenceModel;

  constructor(request: ForwardRequest) {
    this.request = request;
    this.model = request.model;
    this.rows = rowsOf(request.runs, request.count, request.interventions.plan.reads.length);
  }

  point(point: PointName, layer: number, x: Float32Array, width: number, rows = this.rows): void {
    this.request.interventions.apply(point, layer, x, width, rows);
    this.request.onPoint?.(point, layer, x, width, rows);
  }

  embed(): Float32Array {
    const { hidden, embedScale } = this.model.spec;
    const x = new Float32Array(this.rows.length * hidden);
    this.rows.forEach(({ run, position }, r) => {
      const base = run.ids[position] * hidden;
      for (let i = 0; i < hidden; i++) x[r * hidden + i] = this.model.embed[base + i] * embedScale;
    });
    return x;
  }

  /** x becomes x + attention block(x): the points q, k, v, z, attn_out. */
  async attention(layer: number, x: Float32Array): Promise<void> {
    const { spec, ropes } = this.model;
    const w = this.model.layers[layer];
    const { window } = spec.layerSpecs[layer];
    const n = this.rows.length;
    const queryWidth = spec.heads * spec.headDim;
    const kvWidth = spec.kvHeads * spec.headDim;
    const normed = this.norm(x, w.inputNorm);
    const q = await this.product(normed, w.q, w.qBias, spec.hidden, queryWidth);
    const k = await this.product(normed, w.k, w.kBias, spec.hidden, kvWidth);
    const v = await this.product(normed, w.v, w.vBias, spec.hidden, kvWidth);
    if (w.qNorm) rmsNorm(q, w.qNorm, spec.normEps, spec.normOffset, n * spec.heads, spec.headDim, q);
    if (w.kNorm) rmsNorm(k, w.kNorm, spec.normEps, spec.normOffset, n * spec.kvHeads, spec.headDim, k);
    this.point('q', layer, q, queryWidth);
    this.point('k', layer, k, kvWidth);
    this.point('v', layer, v, kvWidth);

    const { cos, sin } = ropes[layer];
    this.rows.forEach(({ run, position }, r) => {
      rotary(q, r * queryWidth, spec.heads, spec.headDim, cos, sin, position);
      rotary(k, r * kvWidth, spec.kvHeads, spec.headDim, cos, sin, position);
      run.cache.put(layer, position, k, v, r * kvWidth);
    });
    const z = new Float32Array(n * queryWidth);
    const shape = { heads: spec.heads, kvHeads: spec.kvHeads, headDim: spec.headDim, scale: spec.attentionScale, window };
    for (let r = 0; r < n; r++) {
      const { run, position } = this.rows[r];
      attention(q, r * queryWidth, run.cache.keysOf(layer), run.cache.valuesOf(layer), position, shape, z, r * queryWidth);
      if (this.request.pause.due()) await this.request.pause.turn();
    }
    this.point('z', layer, z, queryWidth);
    const out = await this.product(z, w.o, w.oBias, queryWidth, spec.hidden);
    this.point('attn_out', layer, out, spec.hidden);
    addTo(x, w.postAttnNorm ? this.norm(out, w.postAttnNorm) : out);
  }

  /** x becomes x + MLP block(x): the points mlp_act, mlp_hidden, mlp_out. */
  async mlp(layer: number, x: Float32Array): Promise<void> {
    const { spec } = this.model;
    const w = this.model.layers[layer];
    const normed = this.norm(x, w.preMlpNorm);
    const gates = await this.product(normed, w.gate, w.gateBias, spec.hidden, spec.intermediate);
    const up = await this.product(normed, w.up, w.upBias, spec.hidden, spec.intermediate);
    activate(spec.activation, gates, gates);
    this.point('mlp_act', layer, gates, spec.intermediate);
    gate(gates, up, up);
    this.point('mlp_hidden', layer, up, spec.intermediate);
    const out = await this.product(up, w.down, w.downBias, spec.intermediate, spec.hidden);
    this.point('mlp_out', layer, out, spec.hidden);
    addTo(x, w.postMlpNorm ? this.norm(out, w.postMlpNorm) : out);
  }

  /** The head over blocks of positions; all positions when a node acts on logits, so that counts do not depend on who looks. */
  async logits(normed: Float32Array): Promise<void> {
    const { runs, count, logits, onLogits, interventions } = this.request;
    const { hidden, vocab } = this.model.spec;
    const acting = interventions.touches('logits', -1);
    if (logits === 'none' && !acting) return;
    const first = logits === 'all' || acting ? 0 : count - 1;
    for (let from = first; from < count; from += LOGIT_BLOCK) {
      const size = Math.min(LOGIT_BLOCK, count - from);
      const indices = runs.flatMap((_, lane) => Array.from({ length: size }, (_unused, j) => lane * count + from + j));
      const input = new Float32Array(indices.length * hidden);
      indices.forEach((r, at) => input.set(normed.subarray(r * hidden, (r + 1) * hidden), at * hidden));
      const out = await this.product(input, this.model.head, null, hidden, vocab, indices.length);
      this.point(
        'logits',
        -1,
        out,
        vocab,
        indices.map((r) => this.rows[r]),
      );
      for (let j = 0; j < size; j++) {
        if (!onLogits || (logits !== 'all' && from + j !== count - 1)) continue;
        const position = this.rows[from + j].position;
        onLogits(
          position,
          runs.map((_, lane) => out.subarray((lane * size + j) * vocab, (lane * size + j + 1) * vocab)),
        );
      }
    }
  }

  private norm(x: Float32Array, weight: Float32Array): Float32Array {
    const { normEps, normOffset, hidden } = this.model.spec;
    const out = new Float32Array(x.length);
    rmsNorm(x, weight, normEps, normOffset, this.rows.length, hidden, out);
    return out;
  }

  /** x * weight^T (+ bias) into a new [rows, outputs], in slices between which it may pause. */
  private async product(
    x: Float32Array,
    weight: Float32Array,
    bias: Float32Array | null,
    inputs: number,
    outputs: number,
    rows = this.rows.length,
  ): Promise<Float32Array> {
    const out = new Float32Array(rows * outputs);
    const slice = Math.max(4, Math.floor(PRODUCT_SLICE / (inputs * rows) / 4) * 4);
    for (let from = 0; from < outputs; from += slice) {
      matmul(x, rows, weight, bias, inputs, outputs, out, from, Math.min(outputs, from + slice));
      if (outputs > slice && this.request.pause.due()) await this.request.pause.turn();
    }
    return out;
  }
}

function addTo(x: Float32Array, y: Float32Array): void {
  for (let i = 0; i < x.length; i++) x[i] += y[i];
}
