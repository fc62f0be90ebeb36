import type { DeviceKind } from '../../test/vulkan.ts';
import type { ContestantKind } from './contestant.ts';

/** One way of running a model that takes part. */
export interface Arm {
  readonly name: string;
  readonly kind: ContestantKind;
  readonly place: 'Node' | 'Chromium';
  readonly threads: number | null;
  /** Runs on the adapter that is measured; the others run on the CPU, whatever the adapter. */
  readonly gpu: boolean;
}

const row = (name: string, kind: ContestantKind, place: Arm['place'], threads: number | null = null): Arm => ({
  name: threads === null ? `${name}, ${place}` : `${name}, ${place}, ${threads} ${threads === 1 ? 'thread' : 'threads'}`,
  kind,
  place,
  threads,
  gpu: kind.endsWith('webgpu'),
});

const threads = [1, 2] as const;

/** Everybody. A name occurs once. */
export const arms: readonly Arm[] = [
  row('Tiller WebGPU', 'tiller-webgpu', 'Node'),
  row('ONNX Runtime WebGPU', 'onnxruntime-webgpu', 'Node'),
  row('Tiller WebGPU', 'tiller-webgpu', 'Chromium'),
  row('ONNX Runtime WebGPU', 'onnxruntime-webgpu', 'Chromium'),
  ...threads.flatMap((count) => [
    row('Tiller CPU', 'tiller-onnx', 'Node', count),
    row('llama.cpp', 'llama-cpp', 'Node', count),
    row('transformers.js', 'transformers', 'Node', count),
  ]),
  row('Tiller WASM', 'tiller-wasm', 'Node', 1),
  ...threads.flatMap((count) => [
    row('Tiller WASM', 'tiller-wasm', 'Chromium', count),
    row('transformers.js', 'transformers', 'Chromium', count),
    row('wllama', 'wllama', 'Chromium', count),
  ]),
];

/** Whom each of ours is weighed against in a place: the best of its threads against the best of theirs. */
export const rivals: readonly {
  readonly kind: ContestantKind;
  readonly place: Arm['place'];
  readonly rivals: readonly ContestantKind[];
}[] = [
  { kind: 'tiller-webgpu', place: 'Node', rivals: ['onnxruntime-webgpu'] },
  { kind: 'tiller-webgpu', place: 'Chromium', rivals: ['onnxruntime-webgpu'] },
  { kind: 'tiller-onnx', place: 'Node', rivals: ['llama-cpp', 'transformers'] },
  { kind: 'tiller-wasm', place: 'Chromium', rivals: ['wllama', 'transformers'] },
];

/** Parameters above which only native CPU engines take part: software adapters and WebAssembly would take hours. */
const LARGE = 300e6;

export const isLarge = (parameters: number): boolean => parameters > LARGE;

/** Who takes part. Chromium's software adapter is SwiftShader, so its pages are measured with it; CPU engines are, with lavapipe. */
export function armsFor(device: DeviceKind, parameters: number): Arm[] {
  const large = isLarge(parameters);
  return arms.filter(({ gpu, kind, place }) => {
    if (gpu) return !large && (place === 'Node' || device === 'swiftshader');
    // A page's other engines take seconds a token with so many weights.
    const slow = large && (place === 'Chromium' ? kind === 'transformers' : kind === 'tiller-wasm');
    return device === 'lavapipe' && !slow;
  });
}
