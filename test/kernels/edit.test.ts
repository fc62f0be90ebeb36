import { expect, it } from 'vitest';
import { compilePlan } from '../../src/graph/compile.ts';
import type { BoundGraph, GraphNode, Lane, VectorTable } from '../../src/graph/document.ts';
import { pointWidth, points, type ModelShape, type PointName } from '../../src/graph/points.ts';
import { buildGraph } from '../../src/graph/vectors.ts';
import type { ModelSpec } from '../../src/model/spec.ts';
import { Interventions } from '../../src/engine/reference/interventions.ts';
import { startRun, type LaneRun, type Row } from '../../src/engine/reference/run.ts';
import { LAST_PROMPT_BIT } from '../../src/engine/webgpu/row-table.ts';
import { EditBuffers, GraphRun } from '../../src/engine/webgpu/graph-run.ts';
import { Memory } from '../../src/engine/webgpu/memory.ts';
import { ENDED_BIT } from '../../src/engine/webgpu/row-table.ts';
import { testDevices } from '../devices.ts';
import { describeKernels, type KernelBench } from './bench.ts';
import { difference, normals, padded } from './data.ts';

const model: ModelShape = { family: 'llama', layers: 2, heads: 4, kvHeads: 2, headDim: 6, hidden: 24, intermediate: 70 };
const vocab = 50;
const ids = [3, 9, 4, 9, 1, 7, 2, 8, 5, 6];
const promptLength = 7;

const vectors: VectorTable = Object.fromEntries(
  [6, 24, 12, 70, 50].map((width, i) => [`v${width}`, { shape: [width], data: normals(200 + i, width) }]),
);
const graphOf = (nodes: readonly GraphNode[]): BoundGraph => buildGraph({ model, nodes, vectors });

/** Points in the order of the forward pass, layer by layer. */
function places(): (readonly [PointName, number])[] {
  const before = points.filter((row) => !row.perLayer && row.point === 'embed');
  const after = points.filter((row) => !row.perLayer && row.point !== 'embed');
  const layers = Array.from({ length: model.layers }, (_, layer) => layer);
  return [
    ...before.map((row) => [row.point, -1] as const),
    ...layers.flatMap((layer) => points.filter((row) => row.perLayer).map((row) => [row.point, layer] as const)),
    ...after.map((row) => [row.point, -1] as const),
  ];
}

interface Ran {
  /** Largest difference from plain loops over all points and calls. */
  readonly worst: number;
  /** By lane: whether every row of it kept its bits everywhere. */
  readonly untouched: readonly boolean[];
  readonly counts: readonly (readonly number[])[];
  readonly expectedCounts: readonly (readonly number[])[];
}

/**
 * Runs the same rows through the kernel and through plain loops: random activations at every point, the prompt in calls of `cut`
 * positions, then one position a call along the ring as in decoding. `ended` lanes stop after the prompt.
 */
async function runBoth(
  bench: KernelBench,
  graph: BoundGraph,
  lanes: readonly Lane[],
  options: { cut?: number; ended?: readonly number[] } = {},
): Promise<Ran> {
  const { plan, refusals } = compilePlan({ graph, shape: model, vocab, lanes });
  expect(refusals).toEqual([]);
  const cut = options.cut ?? promptLength;
  const memory = new Memory(bench.device);
  const call = memory.make('call', 16, GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST);
  const maxRows = cut * lanes.length;
  const table = memory.storage('rows', maxRows * 16);
  const buffers = new EditBuffers(memory, () => undefined);
  const graphRun = new GraphRun({
    device: bench.device,
    call,
    table,
    buffers,
    plan,
    lanes: lanes.map((_, lane) => lane),
    slots: lanes.length,
    maxRows,
    ringRows: 16 * lanes.length,
    maxPositions: cut,
  });
  const interventions = new Interventions(plan);
  const sequence = { ids, promptLength, roles: [] };
  const runs: LaneRun[] = lanes.map((_, lane) => startRun({ ...model, vocab } as unknown as ModelSpec, plan, lane, sequence));
  const untouched = lanes.map(() => true);
  let worst = 0;

  for (let from = 0, step = 0; from < ids.length;) {
    const decoding = from >= promptLength;
    const to = decoding ? from + 1 : Math.min(promptLength, from + cut);
    const ring = decoding ? step++ % 16 : 0;
    const rows: Row[] = runs.flatMap((run) =>
      Array.from({ length: to - from }, (_, i) => ({ run, position: from + i, readings: new Float64Array(plan.reads.length).fill(NaN) })),
    );
    const ended = (row: Row): boolean => decoding && (options.ended ?? []).includes(row.run.lane);
    const flags = (row: Row): number =>
      (row.run.lane | (ring << 16) | (row.position === promptLength - 1 ? LAST_PROMPT_BIT : 0) | (ended(row) ? ENDED_BIT : 0)) >>> 0;
    bench.device.queue.writeBuffer(call, 0, new Uint32Array([rows.length, 0, 0, 0]));
    bench.device.queue.writeBuffer(
      table,
      0,
      new Uint32Array(rows.flatMap((row) => [ids[row.position], row.run.lane, row.position, flags(row)])),
    );
    graphRun.select(
      rows.map(({ run, position }) => ({ sequence: run, position, lane: run.lane })),
      ring,
    );
    for (const [index, [point, layer]] of places().entries()) {
      if (!interventions.touches(point, layer)) {
        expect(graphRun.touches(point, layer)).toBe(false);
        continue;
      }
      const width = pointWidth(point, model, vocab);
      // As in the forward pass: a point is a range of columns of its buffer.
      const column = point === 'k' ? 24 : 0;
      const stride = padded(width + column) + (point === 'k' ? 32 : 0);
      const before = normals(index * 1000 + from, rows.length * stride);
      const x = bench.storage(before);
      await bench.run(graphRun.dispatches(point, layer, { buffer: x, stride, column }, rows.length));
      const got = await bench.readF32(x);
      const slice = (all: Float32Array, r: number): Float32Array => all.slice(r * stride + column, r * stride + column + width);
      // Plain loops see the rows that have not ended; the others must keep their bits.
      const alive = rows.flatMap((row, r) => (ended(row) ? [] : [r]));
      const expected = new Float32Array(alive.length * width);
      alive.forEach((r, i) => expected.set(slice(before, r), i * width));
      interventions.apply(
        point,
        layer,
        expected,
        width,
        alive.map((r) => rows[r]),
      );
      rows.forEach((row, r) => {
        const place = alive.indexOf(r);
        const want = place < 0 ? slice(before, r) : expected.slice(place * width, (place + 1) * width);
        worst = Math.max(worst, difference(slice(got, r), want));
        if (place < 0) expect(slice(got, r)).toEqual(want);
        if (!slice(got, r).every((value, i) => Object.is(value, slice(before, r)[i]))) untouched[row.run.lane] = false;
      });
      const outside = got.every((value, i) => {
        const at = i % stride;
        return (at >= column && at < column + width) || Object.is(value, before[i]);
      });
      expect(outside, `${point} writes beyond its columns`).toBe(true);
    }
    from = to;
  }
  const bytes = await bench.read(graphRun.counts.buffer);
  const counts = graphRun.countsOf(bytes.slice(0, graphRun.counts.size)).map((row) => [...row]);
  memory.freeAll();
  buffers.release();
  return { worst, untouched, counts, expectedCounts: runs.map((run) => [...run.counts]) };
}

const lanes: readonly Lane[] = [{}, { strengths: { '*': 1 } }, { strengths: { '*': -0.5 } }];

/** Rounding of sums of 70 products, a few edits deep. */
const allowed = 2e-5;

async function expectAgreement(ran: Promise<Ran>): Promise<Ran> {
  const result = await ran;
  expect(result.worst).toBeLessThan(allowed);
  expect(result.counts).toEqual(result.expectedCounts);
  expect(result.untouched[0]).toBe(true);
  return result;
}

describeKernels('the edit kernel', await testDevices(), (bench) => {
  const every: readonly GraphNode[] = [
    { id: 'add', edit: 'add', at: { point: 'z', layer: 0, head: 1 }, vector: 'v6', strength: 2, tokens: 'all' },
    { id: 'scale', edit: 'scale', at: { point: 'mlp_act', layer: 0 }, mask: 'v70', strength: 0.5, tokens: 'prompt' },
    { id: 'bare scale', edit: 'scale', at: { point: 'q', layer: 1, head: 3 }, strength: -1, tokens: { ids: [9] } },
    { id: 'ablate', edit: 'ablate', at: { point: 'resid_post', layer: 0 }, vector: 'v24', strength: 0.8, tokens: 'all' },
    { id: 'clamp', edit: 'clamp', at: { point: 'resid_mid', layer: 1 }, vector: 'v24', strength: 3, tokens: { from: 2 } },
    { id: 'cap', edit: 'cap', at: { point: 'attn_out', layer: 1 }, vector: 'v24', strength: 0.1, tokens: 'all' },
    { id: 'set', edit: 'set', at: { point: 'k', layer: 1, head: 1 }, vector: 'v6', strength: 1, tokens: 'answer' },
    { id: 'half', edit: 'set', at: { point: 'v', layer: 1 }, vector: 'v12', strength: 0.25, tokens: 'last' },
    { id: 'bias', edit: 'add', at: { point: 'logits' }, vector: 'v50', strength: 1, tokens: 'generated' },
  ];

  it('does every edit as plain loops do, the prompt whole or in pieces', async () => {
    for (const cut of [promptLength, 3, 1]) await expectAgreement(runBoth(bench(), graphOf(every), lanes, { cut }));
  });

  it('edits any subset of heads of a layer in one dispatch', async () => {
    const nodes: GraphNode[] = [0, 2, 3].map((head) => ({
      id: `h${head}`,
      edit: 'add',
      at: { point: 'z', layer: 1, head },
      vector: 'v6',
      strength: head + 1,
      tokens: 'all',
    }));
    await expectAgreement(runBoth(bench(), graphOf(nodes), lanes));
  });

  it('runs overlapping nodes of one place in document order', async () => {
    const at = { point: 'z', layer: 1 } as const;
    const nodes: GraphNode[] = [
      { id: 'a', edit: 'add', at: { ...at, head: 2 }, vector: 'v6', strength: 2, tokens: 'all' },
      { id: 'b', edit: 'ablate', at, vector: 'v24', strength: 1, tokens: 'all' },
      { id: 'c', edit: 'scale', at: { ...at, head: 2 }, strength: 3, tokens: { at: [0, 2, 8] } },
      { id: 'd', edit: 'clamp', at, vector: 'v24', strength: 1, tokens: 'all' },
      { id: 'e', edit: 'cap', at: { ...at, head: 0 }, vector: 'v6', strength: 0.2, tokens: 'all' },
    ];
    await expectAgreement(runBoth(bench(), graphOf(nodes), lanes));
  });

  it('gates edits by readings, each token or held at the last prompt token', async () => {
    const nodes: GraphNode[] = [
      { id: 'dot', read: 'dot', at: { point: 'resid_pre', layer: 0 }, vector: 'v24', tokens: 'all' },
      { id: 'cosine', read: 'cosine', at: { point: 'z', layer: 0, head: 1 }, vector: 'v6', tokens: { not: { at: [1] } } },
      { id: 'norm', read: 'norm', at: { point: 'resid_mid', layer: 0 }, tokens: 'all' },
      { id: 'up', edit: 'add', at: { point: 'z', layer: 0, head: 0 }, vector: 'v6', tokens: 'all', when: { read: 'dot', above: 0 } },
      { id: 'down', edit: 'add', at: { point: 'mlp_out', layer: 0 }, vector: 'v24', tokens: 'all', when: { read: 'cosine', below: 0.1 } },
      {
        id: 'between',
        edit: 'scale',
        at: { point: 'mlp_hidden', layer: 1 },
        tokens: 'all',
        when: { read: 'norm', above: 4, below: 5 },
      },
      {
        id: 'held',
        edit: 'add',
        at: { point: 'logits' },
        vector: 'v50',
        tokens: 'generated',
        when: { read: 'norm', above: 0, hold: 'last' },
      },
      { id: 'shut', edit: 'add', at: { point: 'logits' }, vector: 'v50', tokens: 'all', when: { read: 'norm', above: 1e6, hold: 'last' } },
    ];
    const { counts } = await expectAgreement(runBoth(bench(), graphOf(nodes), lanes));
    // Not all of them open, not all closed: the test says something.
    expect(counts[1][0]).toBeGreaterThan(0);
    expect(counts[1][0]).toBeLessThan(ids.length);
    expect(counts[1].at(-1)).toBe(0);
  });

  it('patches from another lane, at the same place and from earlier ones', async () => {
    const nodes: GraphNode[] = [
      { id: 'mark', edit: 'add', at: { point: 'z', layer: 0, head: 2 }, vector: 'v6', strength: 3, tokens: 'all' },
      {
        id: 'same place',
        edit: 'set',
        at: { point: 'z', layer: 0, head: 2 },
        vector: { from: { lane: 1, point: 'z', layer: 0, head: 2, tokens: 'all' } },
        tokens: 'all',
      },
      {
        id: 'earlier',
        edit: 'add',
        at: { point: 'resid_post', layer: 1 },
        vector: { from: { lane: 0, point: 'embed', tokens: { at: [1, 4, 7] } } },
        strength: 0.5,
        tokens: 'all',
      },
    ];
    for (const cut of [promptLength, 2]) {
      await expectAgreement(runBoth(bench(), graphOf(nodes), [{}, { strengths: { mark: 1 } }, { strengths: { '*': 1 } }], { cut }));
    }
  });

  it('leaves lanes alone that have ended', async () => {
    const { counts } = await expectAgreement(runBoth(bench(), graphOf(every), lanes, { ended: [2] }));
    expect(counts[1][0]).toBe(ids.length);
    expect(counts[2][0]).toBe(promptLength);
  });
});
