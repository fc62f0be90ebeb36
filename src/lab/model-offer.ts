import type { DeviceReport } from './engine-protocol.ts';
import { DEFAULT_CONTEXT, WASM_MEMORY, wasmNeeded } from '../model/cpu-memory.ts';
import { chooseEngine, type EngineChoice } from './engine-choice.ts';
import { knownShape, type KnownModel } from '../model/known.ts';
import { planMemory } from '../model/memory-plan.ts';
import type { Quantization } from '../model/weights.ts';
import { formatBytes } from './progress-text.ts';

/** A known model on this machine: what it would take, and why it cannot be loaded where it cannot. */
export interface Offer {
  readonly model: KnownModel;
  /** owner/name on the hub; null for the embedded model and where nothing can be loaded. */
  readonly repository: string | null;
  readonly downloadBytes: number;
  readonly memoryBytes: number;
  /** A sentence, or null when it can be loaded. */
  readonly reason: string | null;
}

/** Context that memory is counted for. */
const context = 2048;

/**
 * @param memory bytes of memory that the browser tells of (it tells no GPU memory), or null where it tells nothing
 * @param engine what a person chose
 */
export function offerModel(
  model: KnownModel,
  quantization: Quantization,
  device: DeviceReport | null,
  memory: number | null,
  engine: EngineChoice = 'auto',
): Offer {
  const { spec, downloadBytes } = knownShape(model);
  const memoryBytes = planMemory(spec, { engine: 'webgpu', quantization, stored: model.stored, context, lanes: 2 }).total;
  const usable = model.sources.filter((source) => source.unsupported === null);
  const open = usable.find((source) => !source.gated) ?? null;
  return {
    model,
    repository: open?.repository ?? null,
    downloadBytes,
    memoryBytes,
    reason: model.embedded ? null : whyNot(),
  };

  function whyNot(): string | null {
    if (usable.length === 0) return 'It needs the ONNX reader, which is not there yet.';
    if (!open) return 'Its files can only be read with an access token.';
    const { total } = wasmNeeded(spec, { quantization, stored: model.stored, context: DEFAULT_CONTEXT });
    if (device && chooseEngine(engine, device).engine === 'onnx' && total > WASM_MEMORY)
      return `On the CPU it needs ${formatBytes(total)}, and a page has ${formatBytes(WASM_MEMORY)} of WebAssembly memory at most. It needs WebGPU, or fewer bits.`;
    if (memory !== null && memoryBytes > memory)
      return `It needs ${formatBytes(memoryBytes)} of memory; this device has about ${formatBytes(memory)}.`;
    return null;
  }
}

/** Memory of the device in bytes as the browser tells it: rounded, and never more than 8 GiB on most. */
export function toldMemory(gibibytes: number | undefined): number | null {
  if (gibibytes === undefined) return null;
  return gibibytes >= 8 ? null : gibibytes * 2 ** 30;
}
