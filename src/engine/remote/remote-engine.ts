import { TillerError } from '../../errors/error.ts';
import { compilePlan } from '../../graph/compile.ts';
import type { BoundGraph, Lane } from '../../graph/document.ts';
import type { Refusal } from '../../graph/refusal.ts';
import type {
  Capture,
  CaptureRequest,
  Engine,
  GenerateRequest,
  GenerateSummary,
  LoadProgress,
  ModelInfo,
  Sampling,
  ScoreRequest,
  Scores,
  SequenceInput,
  Step,
} from '../engine.ts';
import {
  capturePlaces,
  defaultLanes,
  factorLanes,
  normalizeGenerate,
  normalizeScore,
  normalizeSequences,
  planFor,
  throwIfAborted,
} from '../request.ts';
import { Connection, type Network, type RunnerPlace } from './connection.ts';
import type { CaptureBody, GenerateBody, ScoreBody } from './documents.ts';
import { remoteGenerate } from './generate.ts';
import { wireGraph } from './graph-wire.ts';

export interface RemoteOptions extends RunnerPlace, Network {
  /** Name of a model of the runner. */
  readonly model: string;
  readonly onProgress?: (progress: LoadProgress) => void;
  /** How many requests are before this one. */
  readonly onQueued?: (position: number) => void;
  readonly signal?: AbortSignal;
}

/**
 * The engine of a runner: the same interface, the same results bit for bit, elsewhere. Arguments are checked here as every engine checks them,
 * so that a wrong one is known before anything travels. Loads the model there where it is not loaded.
 * @throws runner/*, model/*, device/*, request/aborted
 */
export async function createRemoteEngine(options: RemoteOptions): Promise<Engine> {
  const { model, signal, onProgress, onQueued } = options;
  const connection = new Connection(options, options);
  const { models } = await connection.capabilities(signal);
  if (!models.some(({ name }) => name === model)) {
    throw new TillerError('runner/model', { model, known: models.map(({ name }) => name).join(', ') || 'none' });
  }
  const info = await connection.frames('load', { parameters: { model }, signal }, { onLoading: onProgress, onQueued });
  return new RemoteEngine(connection, model, { ...(info as ModelInfo), runner: connection.address });
}

/** Most tokens that `top` may ask for, of any engine; the runner's own says so where it allows fewer. */
const MOST_TOP = 1_000_000;

class RemoteEngine implements Engine {
  #closed = false;

  constructor(
    private readonly connection: Connection,
    private readonly name: string,
    readonly model: ModelInfo,
  ) {}

  async *generate(request: GenerateRequest): AsyncGenerator<Step, GenerateSummary, void> {
    this.#checkOpen();
    const { signal, prompt, roles, lanes, maxTokens, stop, sampling } = request;
    const normal = normalizeGenerate(request, this.model);
    planFor(normal.graph, this.model, this.model.vocab, normal.lanes);
    throwIfAborted(signal);
    const body: Sent<GenerateBody> = {
      ...{ prompt, roles, maxTokens, stop },
      sampling: sampling && sentSampling(sampling),
      lanes: lanes?.map(sentLane),
      graph: await this.#graph(request.graph, signal),
    };
    return yield* remoteGenerate(this.connection, this.name, body, signal);
  }

  async score(request: ScoreRequest): Promise<Scores> {
    this.#checkOpen();
    const { signal, onProgress, sequences, lanes, factor, positions, kl, top, logits } = request;
    const normal = normalizeScore(request, this.model, Math.min(MOST_TOP, this.model.vocab));
    planFor(normal.graph, this.model, this.model.vocab, normal.lanes);
    throwIfAborted(signal);
    const body: Sent<ScoreBody> = {
      ...{ factor, positions, kl, top, logits },
      sequences: sequences.map(sentSequence),
      lanes: lanes?.map(sentLane),
      graph: await this.#graph(request.graph, signal),
    };
    const scores = await this.connection.frames('score', { parameters: { model: this.name }, body, signal }, { onProgress });
    return withAliases(scores as Scores);
  }

  async capture(request: CaptureRequest): Promise<Capture> {
    this.#checkOpen();
    const { signal, onProgress, sequences, points, at, factor, graph: bound } = request;
    normalizeSequences(request.sequences, this.model);
    capturePlaces(request.points, this.model);
    planFor(bound ?? null, this.model, this.model.vocab, bound ? factorLanes(request.factor ?? 1) : [{ name: 'as is' }]);
    throwIfAborted(signal);
    const body: Sent<CaptureBody> = {
      ...{ at, factor },
      sequences: sequences.map(sentSequence),
      points: points.map(({ point, layers }) => ({ point, layers })),
      graph: await this.#graph(bound, signal),
    };
    return (await this.connection.frames('capture', { parameters: { model: this.name }, body, signal }, { onProgress })) as Capture;
  }

  check(graph: BoundGraph, lanes: readonly Lane[] = defaultLanes(graph)): Refusal[] {
    return compilePlan({ graph, shape: this.model, vocab: this.model.vocab, lanes }).refusals;
  }

  /** The model stays loaded on the runner: others may use it. */
  dispose(): Promise<void> {
    this.#closed = true;
    return Promise.resolve();
  }

  /** The document of a graph, its tensors sent. */
  async #graph(bound: BoundGraph | null | undefined, signal: AbortSignal | undefined): Promise<Sent<GenerateBody['graph']>> {
    if (!bound) return null;
    const wire = wireGraph(bound);
    await this.connection.sendTensors(wire, signal);
    return { ...wire.document };
  }

  #checkOpen(): void {
    if (this.#closed) throw new TillerError('request/engine', { engine: 'remote', reason: 'it has been closed' });
  }
}

/** A request's own fields and no others: callers' objects may carry more, and the runner refuses what it does not know. */
type Sent<T> = DeepReadonly<T>;
type DeepReadonly<T> = T extends (infer E)[]
  ? readonly DeepReadonly<E>[]
  : T extends object
    ? { readonly [K in keyof T]: DeepReadonly<T[K]> }
    : T;

const sentLane = ({ name, strengths, seed }: Lane): Lane => ({ name, strengths, seed });
const sentSequence = ({ ids, promptLength, roles }: SequenceInput): SequenceInput => ({ ids, promptLength, roles });
const sentSampling = ({ temperature, topK, topP, seed }: Sampling): Sampling => ({ temperature, topK, topP, seed });

/** `edited` and `kl` of a sequence are its first lane's own arrays, here as in every engine; they travel once. */
function withAliases(scores: Scores): Scores {
  const sequences = scores.sequences.map((sequence) => {
    const first = sequence.lanes.at(0);
    return first ? { ...sequence, edited: first.logprobs, kl: first.kl } : sequence;
  });
  return { ...scores, sequences };
}
