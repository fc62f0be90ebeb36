import type { ModelSpec } from '../../model/spec.ts';
import { checkTensors } from '../../model/layout.ts';
import type { TensorInfo, TensorRole, WeightSource } from '../../model/weights.ts';
import type { Memory } from './memory.ts';
import { formatFor, matrixBytes, WeightUploader, type Matrix, type Storage, type WeightFormat } from './weights.ts';

export interface LayerWeights {
  readonly inputNorm: GPUBuffer;
  /** Rows of q, then k, then v. */
  readonly qkv: Matrix;
  /** f32 [2, head_dim]: of q, then of k; zeros where the family has none. */
  readonly headNorms: GPUBuffer;
  readonly o: Matrix;
  readonly postAttnNorm: GPUBuffer;
  readonly preMlpNorm: GPUBuffer;
  /** Rows of gate and up in turn, so that one dispatch can make both and multiply them. */
  readonly gateUp: Matrix;
  readonly down: Matrix;
  readonly postMlpNorm: GPUBuffer;
}

export interface ModelWeights {
  readonly embed: Matrix;
  readonly head: Matrix;
  readonly finalNorm: GPUBuffer;
  readonly layers: readonly LayerWeights[];
  readonly zeros: GPUBuffer;
}

/** Tensors of a source by (role, layer), checked against the spec. */
class Tensors {
  private readonly byRole = new Map<string, TensorInfo>();
  readonly bytes: number;

  constructor(spec: ModelSpec, source: WeightSource) {
    let bytes = 0;
    for (const { requirement, info } of checkTensors(spec, source).tensors.values()) {
      this.byRole.set(`${requirement.role} ${requirement.layer}`, info);
      bytes += info.shape.reduce((product, length) => product * length, info.dtype === 'F32' ? 4 : 2);
    }
    this.bytes = bytes;
  }

  get(role: TensorRole, layer = -1): TensorInfo {
    const info = this.byRole.get(`${role} ${layer}`);
    if (!info) throw new Error(`no tensor for ${role} of layer ${layer}`);
    return info;
  }

  all(roles: readonly TensorRole[], layer: number): TensorInfo[] {
    return roles.map((role) => this.get(role, layer));
  }
}

/** Formats in which a model's matrices will be kept: known before anything is loaded, so that kernels compile meanwhile. */
export function weightFormats(
  spec: ModelSpec,
  source: WeightSource,
  storage: Storage,
): { readonly projections: ReadonlySet<WeightFormat>; readonly tables: ReadonlySet<WeightFormat>; readonly bytes: number } {
  const tensors = new Tensors(spec, source);
  const projections = new Set<WeightFormat>();
  let bytes = 0;
  const count = (infos: readonly TensorInfo[], kind: 'projection' | 'table'): WeightFormat => {
    const format = formatFor(infos, storage, kind);
    for (const info of infos) bytes += matrixBytes(format, info.shape[0], info.shape[1]);
    return format;
  };
  const groups: readonly (readonly TensorRole[])[] = [['q', 'k', 'v'], ['o'], ['gate', 'up'], ['down']];
  for (let layer = 0; layer < spec.layers; layer += 1) {
    for (const roles of groups) projections.add(count(tensors.all(roles, layer), 'projection'));
  }
  const tables = new Set<WeightFormat>([count([tensors.get('embed')], 'table')]);
  if (!spec.tiedHead) tables.add(count([tensors.get('head')], 'table'));
  return { projections, tables, bytes };
}

export interface LoadWeightsOptions {
  readonly memory: Memory;
  readonly spec: ModelSpec;
  readonly source: WeightSource;
  readonly storage: Storage;
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/** Streams a model's weights onto the device, tensor by tensor. Throws model/tensor-*, model/file, network/failed, device/*. */
export async function loadWeights(options: LoadWeightsOptions): Promise<ModelWeights> {
  const { memory, spec, source, storage } = options;
  const tensors = new Tensors(spec, source);
  let done = 0;
  const uploader = new WeightUploader(memory, source, (bytes) => options.onProgress?.((done += bytes), tensors.bytes), options.signal);
  const widest = Math.max(spec.vocab, 2 * spec.intermediate, (spec.heads + 2 * spec.kvHeads) * spec.headDim, spec.hidden);
  const zeros = memory.storage('zeros', widest * 4);

  const matrix = async (
    label: string,
    infos: readonly TensorInfo[],
    kind: 'projection' | 'table',
    bias: readonly TensorInfo[] | null,
    interleave = false,
  ): Promise<Matrix> =>
    uploader.matrix({
      label,
      tensors: infos,
      interleave,
      format: formatFor(infos, storage, kind),
      bias: bias ? await uploader.vector(`${label} bias`, bias, interleave) : zeros,
    });

  const embed = await matrix('embedding', [tensors.get('embed')], 'table', null);
  const layers: LayerWeights[] = [];
  for (let layer = 0; layer < spec.layers; layer += 1) {
    const vector = (role: TensorRole): Promise<GPUBuffer> => uploader.vector(role, [tensors.get(role, layer)]);
    const { bias } = spec;
    layers.push({
      inputNorm: await vector('input_norm'),
      qkv: await matrix(
        'qkv',
        tensors.all(['q', 'k', 'v'], layer),
        'projection',
        bias.qkv ? tensors.all(['q_bias', 'k_bias', 'v_bias'], layer) : null,
      ),
      headNorms: spec.headNorm ? await uploader.vector('head norms', tensors.all(['q_norm', 'k_norm'], layer)) : zeros,
      o: await matrix('o_proj', [tensors.get('o', layer)], 'projection', bias.o ? [tensors.get('o_bias', layer)] : null),
      postAttnNorm: spec.sandwichNorm ? await vector('post_attn_norm') : zeros,
      preMlpNorm: await vector('pre_mlp_norm'),
      gateUp: await matrix(
        'gate and up',
        tensors.all(['gate', 'up'], layer),
        'projection',
        bias.mlp ? tensors.all(['gate_bias', 'up_bias'], layer) : null,
        true,
      ),
      down: await matrix('down_proj', [tensors.get('down', layer)], 'projection', bias.mlp ? [tensors.get('down_bias', layer)] : null),
      postMlpNorm: spec.sandwichNorm ? await vector('post_mlp_norm') : zeros,
    });
  }
  const finalNorm = await uploader.vector('final_norm', [tensors.get('final_norm')]);
  const head = spec.tiedHead ? embed : await matrix('head', [tensors.get('head')], 'table', null);
  return { embed, head, finalNorm, layers, zeros };
}
