import { freemem, totalmem } from 'node:os';
import { join } from 'node:path';
import type { Capabilities, ServedModel } from '../../src/engine/remote/documents.ts';
import { GRAPH_VERSION, PROTOCOL } from '../../src/engine/remote/protocol.ts';
import { TillerError } from '../../src/errors/error.ts';
import type { EditName, ReadName } from '../../src/graph/document.ts';
import { pointNames, pointWidth } from '../../src/graph/points.ts';
import { planMemory, type MemoryPlan } from '../../src/model/memory-plan.ts';
import { shortages, type MemoryRoom } from '../../src/model/memory-room.ts';
import { Budget } from './budget.ts';
import type { RunnerConfig } from './config.ts';
import { EnginePool } from './engine-pool.ts';
import type { StartEngine } from './engine-process.ts';
import type { ServedLimits } from './requests.ts';
import type { ServedFiles } from './served-models.ts';
import type { TensorStore } from './tensor-store.ts';

/** Milliseconds; and how many models are kept loaded. */
export interface PoolSettings {
  readonly loaded: number;
  readonly silent: number;
  readonly stuck: number;
  readonly patience: number;
}

export const defaultPool: PoolSettings = { loaded: 2, silent: 120_000, stuck: 600_000, patience: 10_000 };

export interface RunnerParts {
  readonly config: RunnerConfig;
  readonly pool: PoolSettings;
  readonly models: readonly ServedFiles[];
  readonly tensors: TensorStore;
  readonly start: (model: ServedFiles) => StartEngine;
  readonly now: () => number;
  readonly onRestart: (model: string, problem: string) => void;
}

/** What a runner is behind its server: models, engines, tensors, and what it says of itself. */
export class Runner {
  readonly config: RunnerConfig;
  readonly pool: EnginePool;
  readonly tensors: TensorStore;
  readonly answers: Budget;
  readonly now: () => number;
  readonly #models: ReadonlyMap<string, ServedFiles>;

  constructor({ config, pool, models, tensors, start, now, onRestart }: RunnerParts) {
    this.config = config;
    this.tensors = tensors;
    this.now = now;
    this.answers = new Budget(config.limits.answers);
    this.#models = new Map(models.map((model) => [model.name, model]));
    this.pool = new EnginePool(
      models.map(({ name, folder, weights }) => ({ name, folder, weights, ...config.engine, results: join(config.folder, 'results') })),
      ({ name }) => start(this.files(name)),
      { ...pool, queue: config.limits.queue, now, onRestart },
    );
  }

  get names(): string[] {
    return [...this.#models.keys()];
  }

  /** @throws runner/model */
  files(name: string): ServedFiles {
    const files = this.#models.get(name);
    if (!files) throw new TillerError('runner/model', { model: name.slice(0, 200), known: this.names.join(', ') || 'none' });
    return files;
  }

  /** What requests to a model are checked against. @throws runner/model */
  limits(name: string): ServedLimits {
    const { spec } = this.files(name);
    const info = this.pool.slot(name).info;
    const maxContext = info?.limits.maxContext ?? Math.min(spec.maxPositions, this.config.engine.maxContext ?? DEFAULT_CONTEXT);
    const maxLanes = Math.min(info?.limits.maxLanes ?? this.config.limits.lanes, this.config.limits.lanes);
    return { spec, vocab: spec.vocab, eosIds: spec.eosIds, limits: { maxContext, maxLanes } };
  }

  /** Whether a place has room for a model as this runner would load it. @throws runner/model */
  fits(name: string, room: MemoryRoom): boolean {
    return shortages(this.#plan(name), room).length === 0;
  }

  /** What it needs and how it would be kept, computed from the shape. */
  #plan(name: string): MemoryPlan {
    const { spec, suggested, tensors } = this.files(name);
    const { engine, quantization, precision, maxContext } = this.config.engine;
    return planMemory(spec, {
      engine: engine === 'webgpu' ? 'webgpu' : 'onnx',
      quantization: quantization ?? suggested,
      precision,
      context: maxContext ?? DEFAULT_CONTEXT,
      lanes: 2,
      stored: tensors,
    });
  }

  #served(name: string): ServedModel {
    const { spec, identity, tokenizer, chat, notes } = this.files(name);
    const { family, layers, heads, kvHeads, headDim, hidden, intermediate, vocab, maxPositions } = spec;
    const slot = this.pool.slot(name);
    const plan = this.#plan(name);
    return {
      name,
      family,
      layers,
      heads,
      kvHeads,
      headDim,
      hidden,
      intermediate,
      vocab,
      maxPositions,
      points: pointNames.map((point) => ({ point, width: pointWidth(point, spec, vocab) })),
      quantization: slot.info?.quantization ?? plan.quantization,
      limits: this.limits(name).limits,
      memory: {
        weights: slot.info?.memory.weights ?? plan.weights,
        cachePerToken: slot.info?.memory.cachePerToken ?? plan.cachePerToken,
      },
      identity,
      tokenizer,
      chat,
      state: slot.state,
      restarts: slot.restarts,
      problem: slot.problem,
      busy: slot.busy(),
      notes: [...notes],
    };
  }

  capabilities(): Capabilities {
    const { limits, engine, program } = this.config;
    const { body, tensor, lanes, tokens, sequenceTokens, answer, queue } = limits;
    const adapter = this.names.map((name) => this.pool.slot(name).info?.adapter).find((found) => found !== undefined);
    return {
      protocol: PROTOCOL,
      program,
      graph: GRAPH_VERSION,
      engine: engine.engine,
      adapter: adapter ? { name: adapter.name, kind: adapter.kind } : null,
      memory: { total: totalmem(), free: freemem() },
      edits: Object.keys(edits),
      reads: Object.keys(reads),
      limits: { body, tensor, lanes, tokens, sequenceTokens, answer, queue },
      models: this.names.map((name) => this.#served(name)),
      busy: this.pool.busy(),
    };
  }

  close(): Promise<void> {
    return this.pool.close();
  }
}

/** What a graph may do; a word that is missing here does not compile. */
const edits: Readonly<Record<EditName, true>> = { add: true, scale: true, ablate: true, clamp: true, cap: true, set: true };
const reads: Readonly<Record<ReadName, true>> = { dot: true, cosine: true, norm: true };

/** What engines allow for where nothing is said. */
const DEFAULT_CONTEXT = 4096;
