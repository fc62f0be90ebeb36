import { describe, expect, it } from 'vitest';
import { context, makeData, pairedRows, shape, stream } from '../../test/methods/planted.ts';
import { ablation } from './ablation.ts';
import { caa } from './caa.ts';
import { controls, type ControlName } from './controls.ts';
import type { EditNode } from '../graph/document.ts';
import { compilePlan } from '../graph/compile.ts';
import { rowRef } from '../graph/references.ts';
import { cap } from './bounds.ts';
import { cast } from './cast.ts';
import { length } from './direction.ts';
import { iti } from './iti.ts';
import { laneStrengths } from './lane.ts';
import type { Fitted } from './method.ts';
import { sadi } from './sadi.ts';

const make = (name: ControlName, fit: Fitted, seed = 5): Fitted => {
  const control = controls.find((row) => row.name === name)?.make(fit, stream(seed));
  if (!control || !('fitted' in control)) throw new Error(`no control: ${control?.reason ?? name}`);
  return control.fitted;
};
const reason = (name: ControlName, fit: Fitted): string => {
  const control = controls.find((row) => row.name === name)?.make(fit, stream(5));
  return control && 'reason' in control ? control.reason : 'made';
};
const edits = (fit: Fitted): EditNode[] => fit.graph.document.nodes.filter((node): node is EditNode => 'edit' in node);
const vectorOf = (fit: Fitted, node: EditNode): Float32Array => {
  if (typeof node.vector !== 'string' && !Array.isArray(node.vector)) throw new Error('no stored vector');
  const { name, row } = rowRef(node.vector as string | [string, number]);
  const vector = fit.graph.vectors[name];
  const width = vector.shape[vector.shape.length - 1];
  return vector.data.subarray(row * width, (row + 1) * width);
};
const placeOf = ({ at }: EditNode): string => `${at.point} ${at.layer} ${at.head ?? ''}`;
/** A control runs where the fit runs, and its lanes are made the same way. */
const runs = (fit: Fitted): void => {
  const { refusals } = compilePlan({ graph: fit.graph, shape, vocab: 10, lanes: [{}, { strengths: laneStrengths(fit, 1) }] });
  expect(refusals).toEqual([]);
};

const rows = pairedRows(20);
const heads = async (): Promise<Fitted> =>
  iti.fit(
    makeData(rows, ['z'], (row, layer) => row.label * layer * 0.3),
    { heads: 2, hold: 5 },
    context(),
  );

describe('controls', () => {
  it('draws directions of the same length at the same places', async () => {
    const fit = await heads();
    const control = make('random direction', fit);
    runs(control);
    expect(edits(control).map(placeOf)).toEqual(edits(fit).map(placeOf));
    expect(edits(control).map(({ strength }) => strength)).toEqual(edits(fit).map(({ strength }) => strength));
    expect(control.ranking).toEqual(fit.ranking);
    edits(fit).forEach((node, i) => {
      const [before, after] = [vectorOf(fit, node), vectorOf(control, edits(control)[i])];
      expect(length(after)).toBeCloseTo(length(before), 5);
      expect([...after]).not.toEqual([...before]);
    });
    expect(make('random direction', fit).graph).toEqual(control.graph);
    expect(make('random direction', fit, 6).graph).not.toEqual(control.graph);
  });

  it('moves the same vectors to heads that the fit does not hold', async () => {
    const fit = await heads();
    const control = make('shuffled places', fit);
    runs(control);
    const own = new Set(edits(fit).map(placeOf));
    expect(edits(control).some((node) => own.has(placeOf(node)))).toBe(false);
    expect(new Set(edits(control).map(placeOf)).size).toBe(5);
    expect(edits(control).map((node) => [...vectorOf(control, node)])).toEqual(edits(fit).map((node) => [...vectorOf(fit, node)]));
    expect(control.ranking.flat()).toEqual(edits(control).map(({ id }) => id));
    expect(control.chosen).toBe(fit.chosen);
  });

  it('moves every layer to another one where all are held', async () => {
    const fit = await caa.fit(
      makeData(rows, ['resid_post'], (row) => row.label),
      {},
      context(),
    );
    const control = make('shuffled places', fit);
    runs(control);
    expect(edits(fit)).toHaveLength(shape.layers);
    edits(fit).forEach((node, i) => expect(placeOf(edits(control)[i])).not.toBe(placeOf(node)));
    expect(new Set(edits(control).map(placeOf)).size).toBe(shape.layers);
  });

  it('turns every edit round', async () => {
    const fit = await heads();
    const control = make('flipped sign', fit);
    expect(edits(control).map(({ strength }) => strength)).toEqual(edits(fit).map(({ strength }) => -(strength ?? 1)));
    expect(make('flipped sign', control).graph.document.nodes).toEqual(fit.graph.document.nodes);
  });

  it('takes other elements for masks, as many, and says that they have no direction', async () => {
    const fit = await sadi.fit(makeData(rows, ['mlp_act']), { site: 'neurons', count: 6 }, context());
    const control = make('shuffled places', fit);
    runs(control);
    const element = (one: Fitted, node: EditNode): string => {
      const { name, row } = rowRef(node.mask ?? '');
      const width = one.graph.vectors[name].shape[1];
      const mask = one.graph.vectors[name].data.subarray(row * width, (row + 1) * width);
      expect([...mask].filter((value) => value === 1)).toHaveLength(1);
      return `${node.at.layer} ${mask.indexOf(1)}`;
    };
    const [before, after] = [edits(fit).map((node) => element(fit, node)), edits(control).map((node) => element(control, node))];
    before.forEach((place, i) => expect(after[i]).not.toBe(place));
    expect(new Set(after).size).toBe(after.length);
    expect(control.ranking).toHaveLength(fit.ranking.length);
    expect(reason('random direction', fit)).toContain('no direction');
  });

  it('keeps pins of frozen propagation where they are', async () => {
    const fit = await sadi.fit(makeData(rows, ['z']), { propagation: 'frozen', count: 2 }, context());
    const control = make('shuffled places', fit);
    runs(control);
    expect(control.fixed).toEqual(fit.fixed);
    expect(edits(control).filter(({ edit }) => edit === 'set')).toEqual(edits(fit).filter(({ edit }) => edit === 'set'));
  });

  it('draws one direction for a candidate that acts in every layer', async () => {
    const fit = await ablation.fit(
      makeData(rows, ['resid_pre'], (row) => row.label),
      { candidates: 2 },
      context(),
    );
    const control = make('random direction', fit);
    runs(control);
    const first = edits(control).filter(({ id }) => control.ranking[0].includes(id));
    expect(first).toHaveLength(3 * shape.layers);
    for (const node of first) expect([...vectorOf(control, node)]).toEqual([...vectorOf(control, first[0])]);
    expect(reason('shuffled places', fit)).toContain('every layer');
  });

  it('leaves the gate of a conditional intervention as it is, and stays behind it', async () => {
    const fit = await cast.fit(
      makeData(rows, ['resid_post'], (row, layer, column) => (column === layer ? 2 * row.label - 1 : 0)),
      {},
      context(),
    );
    for (const name of ['random direction', 'shuffled places', 'flipped sign'] as const) {
      const outcome = controls.find((row) => row.name === name)?.make(fit, stream(1));
      if (!outcome || !('fitted' in outcome)) continue;
      runs(outcome.fitted);
      expect(outcome.fitted.graph.document.nodes.find((node) => 'read' in node)).toEqual(
        fit.graph.document.nodes.find((node) => 'read' in node),
      );
      expect(outcome.fitted.graph.vectors['condition']).toEqual(fit.graph.vectors['condition']);
    }
  });

  it('says why a cap has no opposite', async () => {
    const fit = await cap.fit(
      makeData(rows, ['resid_post'], (row) => row.label),
      {},
      context(),
    );
    expect(reason('flipped sign', fit)).toContain('cap');
    runs(make('random direction', fit));
  });
});
