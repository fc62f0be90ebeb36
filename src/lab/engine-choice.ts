import type { ModelInfo } from '../engine/engine.ts';
import type { ErrorData } from '../errors/error.ts';
import type { DeviceReport } from './engine-protocol.ts';

/** Which engine runs a model in this browser: what a person may ask for, what is taken, and why, in words. */

export const engineChoices = ['auto', 'webgpu', 'onnx', 'reference'] as const;
export type EngineChoice = (typeof engineChoices)[number];
export type BrowserEngine = Exclude<EngineChoice, 'auto'>;

export type EngineReason =
  | { readonly kind: 'asked' }
  | { readonly kind: 'gpu' }
  /** The only adapter computes on the processor. */
  | { readonly kind: 'software'; readonly adapter: string }
  | { readonly kind: 'no-gpu'; readonly problem: ErrorData }
  /** Neither a GPU nor ONNX Runtime. */
  | { readonly kind: 'last-resort'; readonly problem: ErrorData }
  /** The model lies and runs on a runner, which chose its engine itself. */
  | { readonly kind: 'runner' };

export interface EngineDecision {
  readonly engine: BrowserEngine;
  readonly reason: EngineReason;
}

/** `auto` takes WebGPU where there is a real adapter, else ONNX Runtime on the processor, which is many times as fast as a software adapter. */
export function chooseEngine(asked: EngineChoice, { adapter, problem }: DeviceReport): EngineDecision {
  if (asked !== 'auto') return { engine: asked, reason: { kind: 'asked' } };
  if (problem) return { engine: 'onnx', reason: { kind: 'no-gpu', problem } };
  if (adapter && adapter.kind !== 'hardware') return { engine: 'onnx', reason: { kind: 'software', adapter: adapter.name } };
  return { engine: 'webgpu', reason: { kind: 'gpu' } };
}

interface EngineWords {
  /** Short, beside the model's name. */
  readonly name: string;
  /** As a setting. */
  readonly choice: string;
  readonly meaning: string;
}

export const engineWords: Readonly<Record<EngineChoice, EngineWords>> = {
  auto: {
    name: 'auto',
    choice: 'By itself',
    meaning: 'WebGPU where there is a real GPU, else the CPU with ONNX Runtime. A software GPU is not a real one.',
  },
  webgpu: { name: 'WebGPU', choice: 'WebGPU', meaning: 'also on a software GPU, which is slow.' },
  onnx: {
    name: 'CPU (ONNX)',
    choice: 'CPU (ONNX)',
    meaning: 'ONNX Runtime in WebAssembly, with threads where the page may have them. It is loaded when it is first needed.',
  },
  reference: {
    name: 'CPU (reference)',
    choice: 'Reference',
    meaning: 'plain loops on the CPU, slow and simple, for comparison; small models only.',
  },
};

/** The engine that runs, as it is named beside a model. */
export function engineName({ engine, adapter, runner }: Pick<ModelInfo, 'engine' | 'adapter' | 'runner'>): string {
  const { name } = engineWords[engine];
  const where = adapter.kind === 'software' ? `${name} on a software GPU` : name;
  return runner === undefined ? where : `${where} of the runner`;
}

/** Why, as a sentence that stands in front and one that explains; null where there is nothing to say but that it was so. */
export function reasonText(reason: EngineReason): { readonly first: string; readonly then: string } | null {
  switch (reason.kind) {
    case 'gpu':
    case 'asked':
    case 'runner':
      return null;
    case 'software':
      return {
        first: `The only GPU here is a software one (${reason.adapter}).`,
        then: 'It computes on the processor too, and more slowly: the model runs on the CPU with ONNX Runtime.',
      };
    case 'no-gpu':
      return { first: reason.problem.message, then: `${reason.problem.why} The model runs on the CPU with ONNX Runtime.` };
    case 'last-resort':
      return {
        first: reason.problem.message,
        then: `${reason.problem.why} There is no GPU either, so the slow reference engine runs. ${reason.problem.fix}`,
      };
  }
}

/** The same in a few words, for tables. */
export const reasonWords: Readonly<Record<EngineReason['kind'], string>> = {
  asked: 'as chosen in Settings',
  gpu: 'chosen because there is a real GPU',
  software: 'chosen because the only GPU here is a software one',
  'no-gpu': 'chosen because there is no GPU for WebGPU',
  'last-resort': 'the last resort: neither a GPU nor ONNX Runtime',
  runner: 'chosen by the runner',
};
