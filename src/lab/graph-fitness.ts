import type { BoundGraph } from '../graph/document.ts';
import type { ModelShape } from '../graph/points.ts';
import type { Palette } from './palette.ts';

/** What a graph is held against: the model that is loaded, or one that could be. */
export interface Candidate extends ModelShape {
  readonly label: string;
  /** Of the weights; null where it is not known before they are loaded. */
  readonly identity: string | null;
}

/** Whether a graph means on a model what it meant where it was made. */
export interface Fitness {
  /**
   * `fits`: same shape, and as far as is known the same weights. `weights`: it can run, but its vectors are directions of other weights.
   * `shape`: it cannot run.
   */
  readonly kind: 'fits' | 'weights' | 'shape';
  /** Sentences, the weightiest first; empty where it fits. */
  readonly reasons: readonly string[];
}

type Field = keyof ModelShape;

/** Fields of a shape in the order in which they weigh, with what a difference means. */
const differences: readonly {
  readonly field: Field;
  readonly say: (there: string, here: string, graph: BoundGraph) => string;
}[] = [
  {
    field: 'family',
    say: (there, here) => `It was made on a model of the ${there} family, this one is ${here}: their layers compute different things.`,
  },
  {
    field: 'layers',
    say: (there, here, graph) => {
      const deepest = Math.max(-1, ...graph.document.nodes.map((node) => node.at.layer ?? -1));
      const gone = deepest >= Number(here) ? `; it acts in layer ${deepest}, which does not exist here` : '';
      return `It was made on ${there} layers, this model has ${here}${gone}. What one layer does is not what the layer of the same number does here.`;
    },
  },
  {
    field: 'heads',
    say: (there, here) => `A layer had ${there} heads there and has ${here} here: a head of the same number is another head.`,
  },
  {
    field: 'kvHeads',
    say: (there, here) => `Heads shared ${there} keys and values there, ${here} here.`,
  },
  {
    field: 'headDim',
    say: (there, here) => `A head writes ${there} numbers there (head_dim) and ${here} here: its vectors do not have the length.`,
  },
  {
    field: 'hidden',
    say: (there, here) => `The residual stream is ${there} wide there and ${here} here: a direction of one is no direction of the other.`,
  },
  {
    field: 'intermediate',
    say: (there, here) => `The MLP is ${there} wide there and ${here} here.`,
  },
];

const shapeFields: readonly Field[] = differences.map(({ field }) => field);

export const sameShape = (a: ModelShape, b: ModelShape): boolean => shapeFields.every((field) => a[field] === b[field]);

/** @param madeOn the weights that the vectors are directions of, where that is known */
export function graphFitness(graph: BoundGraph, madeOn: Palette['madeOn'], model: Candidate): Fitness {
  const shape = graph.document.model;
  const reasons = differences
    .filter(({ field }) => shape[field] !== model[field])
    .map(({ field, say }) => say(String(shape[field]), String(model[field]), graph));
  if (reasons.length > 0) return { kind: 'shape', reasons };
  if (!madeOn || model.identity === null || madeOn.identity === model.identity) return { kind: 'fits', reasons };
  return {
    kind: 'weights',
    reasons: [
      `It was made on ${madeOn.label}. This model has the same shape and other weights: it can run, but its vectors are directions in the space of ${madeOn.label}, so nothing that was measured there holds here.`,
    ],
  };
}
