import { DEFAULT_CONTEXT, WASM_MEMORY, wasmNeeded } from '../model/cpu-memory.ts';
import { chooseEngine, type EngineChoice } from './engine-choice.ts';
import type { DeviceReport } from './engine-protocol.ts';
import { knownModels, knownShape, type KnownModel } from '../model/known.ts';
import { planMemory } from '../model/memory-plan.ts';
import { formatOfName } from '../model/weight-format.ts';
import type { Quantization } from '../model/weights.ts';
import { hubNameText } from '../store/hub-name.ts';
import type { ServedModel } from '../store/served-models.ts';
import type { ModelChoice, ModelPlace } from './experiment.ts';
import { formatBytes } from './progress-text.ts';

/** A model on this machine: what it would take, and why it cannot be loaded where it cannot. */
export interface Offer {
  /** Differs from row to row. */
  readonly id: string;
  readonly title: string;
  /** What it is, in a sentence or two. */
  readonly about: string;
  readonly licence: string;
  /** Null where nothing can be loaded. */
  readonly place: ModelPlace | null;
  /** Where its files come from, in words. */
  readonly from: string;
  readonly downloadBytes: number;
  /** Null where nothing is known of it before it is opened. */
  readonly memoryBytes: number | null;
  /** How its weights are kept. */
  readonly quantization: ModelChoice['quantization'];
  /** A sentence, or null when it can be loaded. */
  readonly reason: string | null;
}

/** What is at hand here. */
export interface Surroundings {
  readonly device: DeviceReport | null;
  /** What a person chose. @default 'auto' */
  readonly engine?: EngineChoice;
  /** Bytes of memory that the browser tells of (it tells no GPU memory), or null where it tells nothing. */
  readonly memory: number | null;
  /** Whether an access token for the hub was given. */
  readonly token: boolean;
  /** Models that lie next to the page. */
  readonly served: readonly ServedModel[];
}

const SERVED = 'served with this page';

/** Context that memory is counted for. */
const context = 2048;

/** An offer of a model whose shape is known. */
export type KnownOffer = Offer & { readonly memoryBytes: number };

const totalBytes = ({ files }: ServedModel): number => files.reduce((sum, file) => sum + file.bytes, 0);

type Found = Pick<Offer, 'place' | 'from' | 'downloadBytes'> & { readonly best: Offer['quantization'] };

/** Next to the page before the hub; there, the original where it may be read, else a copy. */
function find(model: KnownModel, { token, served }: Surroundings): Found {
  const { downloadBytes } = knownShape(model);
  if (model.embedded)
    return { place: { kind: 'embedded', name: model.id }, from: 'with the page', downloadBytes, best: model.quantization };
  const here = served.find(({ name }) => name === model.built);
  if (here) {
    return { place: { kind: 'served', name: here.name }, from: SERVED, downloadBytes: totalBytes(here), best: 'suggested' };
  }
  const source = model.sources.find(({ gated }) => !gated || token);
  if (!source) return { place: null, from: '', downloadBytes, best: model.quantization };
  const name = hubNameText(source);
  const best = source.format === 'safetensors' ? model.quantization : 'suggested';
  return { place: { kind: 'hub', name }, from: name, downloadBytes, best };
}

/** @param kept how a person wants weights to be kept, or `best` for what suits each model */
export function offerModel(model: KnownModel, kept: 'best' | Quantization, here: Surroundings): KnownOffer {
  const { spec } = knownShape(model);
  const { best, ...found } = find(model, here);
  const quantization = kept === 'best' ? best : kept;
  // Files that are quantised already are mostly kept in int8.
  const counted = quantization === 'suggested' ? 'q8' : quantization;
  const { stored } = model;
  const cpu =
    here.device && chooseEngine(here.engine ?? 'auto', here.device).engine === 'onnx'
      ? wasmNeeded(spec, { quantization: counted, stored, context })
      : null;
  const memoryBytes = cpu
    ? cpu.total + cpu.outside
    : planMemory(spec, { engine: 'webgpu', quantization: counted, stored, context, lanes: 2 }).total;
  const { id, title, licence } = model;
  const about = `${model.description} ${model.chat ? 'Chat, languages' : 'Language'}: ${model.languages}.`;
  return { id, title, about, licence, ...found, memoryBytes, quantization, reason: model.embedded ? null : whyNot() };

  function whyNot(): string | null {
    const { memory } = here;
    if (!found.place) {
      return model.sources.length > 0
        ? 'Its files can only be read with an access token.'
        : `It is not next to this page: \`npm run model -- ${model.built ?? model.id}\` puts it there.`;
    }
    const total = wasmNeeded(spec, { quantization: counted, stored, context: DEFAULT_CONTEXT }).total;
    if (cpu && total > WASM_MEMORY)
      return `On the CPU it needs ${formatBytes(total)}, and a page has ${formatBytes(WASM_MEMORY)} of WebAssembly memory at most. It needs WebGPU, or fewer bits.`;
    if (memory !== null && memoryBytes > memory)
      return `It needs ${formatBytes(memoryBytes)} of memory; this device has about ${formatBytes(memory)}.`;
    return null;
  }
}

const formatNames = { safetensors: 'Safetensors', onnx: 'ONNX', gguf: 'GGUF' } as const;

/**
 * Models next to the page that are none of the known ones: all that is known before they are opened is what the list says of them.
 * @param kept as for `offerModel`
 */
export function offerServed(served: readonly ServedModel[], kept: 'best' | Quantization): Offer[] {
  const others = served.filter(({ name }) => !knownModels.some(({ built }) => built === name));
  return others.map((model) => ({
    id: `served ${model.name}`,
    title: model.title,
    about: `${formatNames[formatOfName(model.weights ?? '') ?? 'safetensors']} weights in models/${model.name}.`,
    licence: model.licence ?? 'not stated',
    place: { kind: 'served', name: model.name },
    from: SERVED,
    downloadBytes: totalBytes(model),
    memoryBytes: null,
    quantization: kept === 'best' ? 'suggested' : kept,
    reason: null,
  }));
}

/** Memory of the device in bytes as the browser tells it: rounded, and never more than 8 GiB on most. */
export function toldMemory(gibibytes: number | undefined): number | null {
  if (gibibytes === undefined) return null;
  return gibibytes >= 8 ? null : gibibytes * 2 ** 30;
}
