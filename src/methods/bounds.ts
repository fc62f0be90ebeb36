import type { EditNode } from '../graph/document.ts';
import { quantile } from '../stats/quantile.ts';
import { count, hold, layer, point, tokens } from './common-settings.ts';
import { meanDifference } from './direction.ts';
import { capturesOf, findDirections, layersOf, placeCounts, type Candidate } from './direction-fit.ts';
import { fitted, stack } from './fitted.ts';
import type { FitContext, FitData, Fitted, Method, Settings } from './method.ts';
import { placeAt, placeId } from './places.ts';
import { readRows, selectorOf } from './settings.ts';

/**
 * Cap and clamp: instead of pushing along a direction, say where on it the activation may be, from what examples do there. A cap leaves alone
 * every token that is already within; a clamp puts every token to the same value.
 */

const shared = { point, layer, count, hold, tokens } as const;

const capRows = {
  ...shared,
  quantile: {
    kind: 'number',
    default: 0.75,
    least: 0,
    most: 1,
    doc: 'how far towards the unwanted class a token may go: the quantile of the wanted training rows along the direction from wanted to unwanted',
  },
} as const satisfies Method['settings'];

const clampRows = {
  ...shared,
  quantile: {
    kind: 'number',
    default: 0.5,
    least: 0,
    most: 1,
    doc: 'where every token is put: the quantile of the wanted training rows along the direction from unwanted to wanted',
  },
} as const satisfies Method['settings'];

interface Bound {
  readonly edit: 'cap' | 'clamp';
  readonly settings: Settings & {
    readonly point: (typeof point)['options'][number];
    readonly layer: number;
    readonly count: number;
    readonly hold: number;
  };
  readonly tokens: string;
  /** Direction and value of one place. */
  readonly at: (candidate: Candidate) => { readonly direction: Float64Array; readonly value: number };
}

async function fitBounds(data: FitData, context: FitContext, { edit, settings, tokens: selector, at }: Bound): Promise<Fitted> {
  const found = await findDirections(data, context, {
    method: edit,
    needs: 'labels',
    point: settings.point,
    layers: layersOf(edit, settings.layer, data.shape),
    estimate: (slice, { positive, negative }) => ({ direction: meanDifference(slice, positive, negative) }),
  });
  const { chosen, held } = placeCounts(found.order, settings.count, settings.hold);
  const used = found.order.slice(0, held).map((candidate) => ({ place: candidate.place, ...at(candidate) }));
  const nodes = used.map(({ place, value }, row): EditNode => ({
    id: placeId(place),
    edit,
    at: placeAt(place),
    vector: ['direction', row],
    strength: Math.fround(value),
    tokens: selectorOf(selector),
  }));
  return fitted({
    name: `${edit} at ${settings.point}`,
    shape: data.shape,
    nodes,
    vectors: { direction: stack(used.map(({ direction }) => direction)) },
    ranking: nodes.map(({ id }) => [id]),
    chosen,
    report: {
      method: edit,
      settings,
      places: found.places,
      scoreName: found.scoreName,
      notes: [
        ...found.notes,
        `The strength of a ${edit} is a value along the direction: a factor multiplies that value, and does not blend with the unedited activation.`,
      ],
      numbers: { count: chosen, held, value: used.map(({ value }) => value), ...found.numbers },
    },
  });
}

export const cap: Method = {
  name: 'cap',
  title: 'Cap: bound the projection',
  what: 'Stops activations from going further towards the unwanted class than the wanted examples go, and leaves all others alone.',
  source: 'Lu et al. 2026, The Assistant Axis (activation capping)',
  needs: 'labels',
  settings: capRows,
  captures: (given, shape) => {
    const settings = readRows('cap', capRows, given);
    return capturesOf('cap', settings.point, settings.layer, shape);
  },
  fit: async (data, given, context) => {
    const settings = readRows('cap', capRows, given);
    return fitBounds(data, context, {
      edit: 'cap',
      settings,
      tokens: settings.tokens,
      // A cap bounds from above, so its direction points to the unwanted class and the projections change sign with it.
      at: ({ direction, positive }) => ({
        direction: direction.map((value) => -value),
        value: quantile(
          positive.map((value) => -value),
          settings.quantile,
        ),
      }),
    });
  },
};

export const clamp: Method = {
  name: 'clamp',
  title: 'Clamp: pin the projection',
  what: 'Puts the projection on the direction of the classes to the value that wanted examples have.',
  source: 'Templeton et al. 2024, Scaling Monosemanticity (feature clamping), with a mean difference as the feature',
  needs: 'labels',
  settings: clampRows,
  captures: (given, shape) => {
    const settings = readRows('clamp', clampRows, given);
    return capturesOf('clamp', settings.point, settings.layer, shape);
  },
  fit: async (data, given, context) => {
    const settings = readRows('clamp', clampRows, given);
    return fitBounds(data, context, {
      edit: 'clamp',
      settings,
      tokens: settings.tokens,
      at: ({ direction, positive }) => ({ direction, value: quantile(positive, settings.quantile) }),
    });
  },
};
