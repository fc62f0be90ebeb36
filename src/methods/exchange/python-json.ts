import { TillerError } from '../../errors/error.ts';
import type { BoundGraph, Lane } from '../../graph/document.ts';
import type { PointName } from '../../graph/points.ts';
import { plainAdditions, tokenNote, type PlainAddition } from './additions.ts';
import { exportReceipt, type ExportReceipt, type Provenance } from './receipt.ts';

/**
 * JSON for the two Python libraries that people steer with. Neither has a JSON format of its own for vectors (both pickle tensors), so
 * these are their constructor arguments as data: a few lines of Python turn them into objects. Layers count from 0 in both, as here.
 */

interface Written {
  readonly json: string;
  readonly receipt: ExportReceipt;
}

const place = ({ id, at }: PlainAddition): string =>
  `node "${id}" adds at "${at.point}"${at.head === undefined ? '' : ` of head ${at.head}`}`;

/** pyvene's component names by our points; with a head, of that head alone. `attention_value_output` is the input of o_proj. */
const components: Readonly<Partial<Record<PointName, string>>> = {
  resid_pre: 'block_input',
  z: 'attention_value_output',
  attn_out: 'attention_output',
  mlp_act: 'mlp_activation',
  mlp_out: 'mlp_output',
  resid_post: 'block_output',
};

/**
 * pyvene's IntervenableConfig as JSON: `representations` with layer, component and unit, all of the type AdditionIntervention, and for each the
 * vector as `source_representation` and the head as `unit_location`.
 * @throws vectors/export
 */
export function writePyvene(graph: BoundGraph, made: Provenance = {}, strengths?: Lane['strengths']): Written {
  const format = 'pyvene-like JSON';
  const list = plainAdditions(format, graph, strengths);
  const representations = list.map((addition) => {
    const { at, vector } = addition;
    const component = components[at.point];
    if (component === undefined)
      throw new TillerError('vectors/export', { format, problem: `${place(addition)}, for which it has no component` });
    return {
      layer: at.layer ?? 0,
      component: at.head === undefined ? component : `head_${component}`,
      unit: at.head === undefined ? 'pos' : 'h.pos',
      max_number_of_units: 1,
      unit_location: at.head ?? null,
      source_representation: [...vector],
    };
  });
  const notes = tokenNote(list, 'name the positions as unit_locations when the model is called.');
  const receipt = exportReceipt(format, graph, made, notes);
  const value = {
    format: 'pyvene-like/1',
    model_type: graph.document.model.family,
    mode: 'parallel',
    intervention_types: 'AdditionIntervention',
    representations,
    receipt,
  };
  return { json: `${JSON.stringify(value)}\n`, receipt };
}

/** steering-vectors' layer types: the module whose output is added to. */
const layerTypes: Readonly<Partial<Record<PointName, string>>> = { resid_post: 'decoder_block', attn_out: 'self_attn', mlp_out: 'mlp' };

/**
 * steering-vectors' SteeringVector as JSON: `layer_activations` by layer and one `layer_type`. Additions of one layer are summed.
 * @throws vectors/export
 */
export function writeSteeringVectors(graph: BoundGraph, made: Provenance = {}, strengths?: Lane['strengths']): Written {
  const format = 'steering-vectors-like JSON';
  const list = plainAdditions(format, graph, strengths);
  const refuse = (problem: string): never => {
    throw new TillerError('vectors/export', { format, problem });
  };
  let layerType: string | undefined;
  const layers = new Map<number, Float32Array>();
  for (const addition of list) {
    const { at, vector } = addition;
    const type = at.point === 'resid_pre' ? 'decoder_block' : layerTypes[at.point];
    if (type === undefined) return refuse(`${place(addition)}; it knows the outputs of layers, attention and MLP`);
    layerType ??= type;
    if (type !== layerType) refuse(`${place(addition)}, another node at the output of "${layerType}"; a vector has one kind of place`);
    const layer = (at.layer ?? 0) - (at.point === 'resid_pre' ? 1 : 0);
    if (layer < 0) refuse(`${place(addition)} before layer 0, which is the output of no layer`);
    const sum = layers.get(layer);
    layers.set(layer, sum ? sum.map((value, i) => value + vector[i]) : vector);
  }
  const notes = tokenNote(list, 'give min_token_index or token_indices when the vector is applied.');
  const receipt = exportReceipt(format, graph, made, notes);
  const activations = Object.fromEntries([...layers].sort(([a], [b]) => a - b).map(([layer, vector]) => [String(layer), [...vector]]));
  const value = { format: 'steering-vectors-like/1', layer_type: layerType, layer_activations: activations, receipt };
  return { json: `${JSON.stringify(value)}\n`, receipt };
}
