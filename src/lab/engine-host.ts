import { memoryResults } from '../captures/memory-results.ts';
import type { ResultStore } from '../captures/result-store.ts';
import type { Engine, GenerateSummary } from '../engine/engine.ts';
import { TillerError } from '../errors/error.ts';
import type { PatchStudy } from '../evals/patch-study.ts';
import type { ExampleSet } from '../examples/example.ts';
import type { PlaceView } from '../fit/report.ts';
import type { BoundGraph, Lane } from '../graph/document.ts';
import type { Refusal } from '../graph/refusal.ts';
import type {
  ExamplesRequest, ExamplesView, FitAnswer, FitRequest, HostApi, InspectRequest, Loaded, LoadRequest, Outcome, PatchChoice, PatchGraphRequest,
  PatchStudyRequest, PatchView, PromptToken, RunRequest, ShiftRequest, StreamMessage, StreamToken, TokenShift,
} from './engine-protocol.ts'; // prettier-ignore
import type { ChosenFile } from '../store/files.ts';
import { laneName, type Input } from './experiment.ts';
import type { HostEnvironment, ModelStorage, OpenModel } from './model-access.ts';
import { makeEngine } from './packed-load.ts';
import type { Palette, Recipe } from './palette.ts';
import { makePalette, measureTypicalNorms } from './quick-directions.ts';
import { needTokenizer, promptTokens } from './prompt-tokens.ts';

/** Words shown before and after, per token. */
const topWords = 5;

interface Running {
  readonly engine: Engine;
  readonly model: OpenModel;
  typical: Float32Array | null;
}

/** Lets messages in between two tokens, so that a Stop is heard: a timer turn, not a microtask. */
const breathe = (): Promise<void> =>
  new Promise((resolve) => {
    const channel = new MessageChannel();
    channel.port1.onmessage = () => {
      channel.port1.close();
      resolve();
    };
    channel.port2.postMessage(null);
  });

/** Lanes of a request: names and factors of every strength. */
export const lanesOf = (factors: readonly number[]): Lane[] =>
  factors.map((factor, index) => ({ name: laneName(index, factor), strengths: { '*': factor } }));

/** Runs a model for the page: what the worker exposes. One model at a time; one request of a kind at a time is the page's concern. */
export class EngineHost implements HostApi {
  readonly #environment: HostEnvironment;
  readonly #requests = new Map<number, AbortController>();
  #running: Running | null = null;
  #last: Promise<unknown> = Promise.resolve();
  #kept: ResultStore | null = null;

  constructor(environment: HostEnvironment) {
    this.#environment = environment;
  }

  async #settle<T>(id: number | null, work: (signal: AbortSignal) => Promise<T>): Promise<Outcome<T>> {
    const abort = new AbortController();
    if (id !== null) this.#requests.set(id, abort);
    try {
      return { ok: true, value: await work(abort.signal) };
    } catch (cause) {
      const stopped = abort.signal.aborted && !(cause instanceof TillerError && cause.code.startsWith('device/'));
      const error = stopped
        ? new TillerError('request/aborted')
        : cause instanceof TillerError
          ? cause
          : new TillerError('internal', { problem: cause instanceof Error ? cause.message : String(cause) });
      return { ok: false, error: error.toJSON() };
    } finally {
      if (id !== null) this.#requests.delete(id);
    }
  }

  /** Engines run one request at a time: a new one waits for the one before, which the page has usually just cancelled. */
  #inTurn<T>(id: number, work: (signal: AbortSignal) => Promise<T>): Promise<Outcome<T>> {
    return this.#settle(id, async (signal) => {
      const before = this.#last;
      let done = (): void => undefined;
      this.#last = new Promise<void>((resolve) => (done = resolve));
      try {
        await before;
        if (signal.aborted) throw new TillerError('request/aborted');
        return await work(signal);
      } finally {
        done();
      }
    });
  }

  #need(): Running {
    if (!this.#running) throw new TillerError('request/invalid', { problem: 'no model is loaded yet' });
    return this.#running;
  }

  #storage(): ModelStorage {
    const { storage } = this.#environment;
    if (!storage) throw new TillerError('store/unavailable', { problem: 'it has no private file system for pages' });
    return storage;
  }

  /** Where there is no private file system, results last as long as the worker. */
  #results(): ResultStore {
    return (this.#kept ??= this.#environment.results ?? memoryResults());
  }

  cancel(id: number): Promise<void> {
    this.#requests.get(id)?.abort();
    return Promise.resolve();
  }

  device(): ReturnType<HostApi['device']> {
    return this.#settle(null, () => this.#environment.device());
  }

  load(id: number, request: LoadRequest, progress: MessagePort): Promise<Outcome<Loaded>> {
    return this.#inTurn(id, async (signal) => {
      try {
        const onProgress = (message: unknown): void => progress.postMessage(message);
        const previous = this.#running;
        this.#running = null;
        await previous?.engine.dispose().catch(() => undefined);
        const model = await this.#environment.open(request, onProgress, signal);
        const { precision } = request.model;
        const quantization = request.model.quantization === 'suggested' ? model.files.suggested : request.model.quantization;
        const notes = [...(model.notes ?? []), ...model.files.notes];
        const expandBelow = request.expandBelow === undefined ? {} : { expandBelow: request.expandBelow };
        const options = { quantization, precision, ...expandBelow, onProgress, signal, now: () => this.#environment.now() };
        const { engine, reason } = model.remote
          ? { engine: await model.remote.engine(options), reason: { kind: 'runner' } as const }
          : await makeEngine(this.#environment, request, model, options, (note) => notes.push(note));
        if (signal.aborted) {
          await engine.dispose();
          throw new TillerError('request/aborted');
        }
        this.#running = { engine, model, typical: null };
        return {
          info: engine.model,
          choice: { ...request.model, quantization },
          label: model.label,
          licence: model.licence,
          chat: model.files.tokenizer?.hasChatTemplate ?? false,
          notes,
          reason,
        };
      } finally {
        progress.close();
      }
    });
  }

  encode(input: Input): Promise<Outcome<readonly PromptToken[]>> {
    return this.#settle(null, () => Promise.resolve(promptTokens(this.#need().model.files, input)));
  }

  generate(id: number, request: RunRequest, port: MessagePort): Promise<Outcome<GenerateSummary>> {
    const send = (message: StreamMessage): void => port.postMessage(message);
    return this.#inTurn(id, async (signal) => {
      try {
        const { engine, model } = this.#need();
        const prompt = promptTokens(model.files, request.input);
        send({ type: 'prompt', tokens: prompt });
        const ids = prompt.map((token) => token.id);
        const steps = engine.generate({
          prompt: ids,
          roles: prompt.map((token) => token.role),
          graph: request.graph,
          lanes: lanesOf(request.factors),
          maxTokens: request.maxTokens,
          sampling: request.sampling,
          signal,
        });
        const tokenizer = needTokenizer(model.files);
        const texts = request.factors.map(() => tokenizer.decodeStream(ids));
        for (;;) {
          const next = await steps.next();
          if (next.done) return next.value;
          const { index, lanes } = next.value;
          send({
            type: 'step',
            index,
            lanes: lanes.map((lane, i): StreamToken | null => {
              if (!lane) return null;
              const text = tokenizer.isControl(lane.token) ? tokenizer.piece(lane.token) : texts[i].push(lane.token);
              return { id: lane.token, text, logprob: lane.logprob };
            }),
          });
          await breathe();
        }
      } finally {
        port.close();
      }
    });
  }

  shifts(id: number, request: ShiftRequest): Promise<Outcome<readonly (readonly TokenShift[])[]>> {
    return this.#inTurn(id, async (signal) => {
      const { engine, model } = this.#need();
      const prompt = request.prompt.map((token) => token.id);
      const roles = request.prompt.map((token) => token.role);
      const lanes: TokenShift[][] = [];
      for (const lane of request.lanes) {
        if (lane.ids.length === 0) {
          lanes.push([]);
          continue;
        }
        const sequence = {
          ids: [...prompt, ...lane.ids],
          promptLength: prompt.length,
          roles: [...roles, ...lane.ids.map(() => 'assistant' as const)],
        };
        const { sequences } = await engine.score({
          sequences: [sequence],
          graph: request.graph,
          factor: lane.factor,
          top: topWords,
          signal,
        });
        const [score] = sequences;
        const words = (list: readonly { id: number; logprob: number }[] | undefined): TokenShift['before'] =>
          list?.map((top) => ({ text: needTokenizer(model.files).piece(top.id), logprob: top.logprob })) ?? [];
        lanes.push(
          lane.ids.map((_, i) => {
            const t = prompt.length + i - 1;
            return { kl: score.kl?.[t] ?? 0, before: words(score.top?.unedited[t]), after: words(score.top?.edited?.[t]) };
          }),
        );
        await breathe();
      }
      return lanes;
    });
  }

  direction(id: number, recipe: Recipe, previous: Palette | null): Promise<Outcome<Palette>> {
    return this.#inTurn(id, async (signal) => {
      const running = this.#need();
      const { engine, model } = running;
      const { remote } = model;
      const words = remote && ((ids: readonly number[], stop: AbortSignal) => remote.words(ids, stop));
      const subject = { engine, files: model.files, label: model.label, ...(words && { words }) };
      running.typical ??= await measureTypicalNorms(subject, signal);
      return makePalette(subject, recipe, running.typical, previous, signal);
    });
  }

  /** Reads and tokenises only: it waits for no run. */
  examples(id: number, request: ExamplesRequest): Promise<Outcome<ExamplesView>> {
    return this.#settle(id, async () => {
      const { engine, model } = this.#need();
      const { viewExamples } = await import('./fit-host.ts');
      return viewExamples(engine, model.files, request);
    });
  }

  exampleSet(id: number, request: Pick<ExamplesRequest, 'source' | 'reading'>): Promise<Outcome<ExampleSet>> {
    return this.#settle(id, async () => {
      const { examplesOf } = await import('./fit-host.ts');
      return examplesOf(request);
    });
  }

  fit(id: number, request: FitRequest, events: MessagePort): Promise<Outcome<FitAnswer>> {
    return this.#inTurn(id, async (signal) => {
      try {
        const { engine, model } = this.#need();
        const { fitExamples } = await import('./fit-host.ts');
        return await fitExamples({ engine, files: model.files, results: this.#results(), signal }, request, (event) =>
          events.postMessage(event),
        );
      } finally {
        events.close();
      }
    });
  }

  inspect(id: number, request: InspectRequest): Promise<Outcome<PlaceView>> {
    return this.#inTurn(id, async (signal) => {
      const { engine, model } = this.#need();
      const { inspectFit } = await import('./fit-host.ts');
      return inspectFit({ engine, files: model.files, results: this.#results(), signal }, request);
    });
  }

  /** Tokenises only: it waits for no run. */
  patchView(choice: PatchChoice): Promise<Outcome<PatchView>> {
    return this.#settle(null, async () => {
      const { model } = this.#need();
      const { viewPatch } = await import('./patch-host.ts');
      return viewPatch(model.files, choice);
    });
  }

  patchStudy(id: number, request: PatchStudyRequest, events: MessagePort): Promise<Outcome<PatchStudy>> {
    return this.#inTurn(id, async (signal) => {
      try {
        const { engine, model } = this.#need();
        const { studyPatch } = await import('./patch-host.ts');
        return await studyPatch({ engine, files: model.files, results: this.#results(), signal }, request, (event) =>
          events.postMessage(event),
        );
      } finally {
        events.close();
      }
    });
  }

  patchGraph(id: number, request: PatchGraphRequest): Promise<Outcome<BoundGraph>> {
    return this.#inTurn(id, async (signal) => {
      const { engine, model } = this.#need();
      const { graphOfPatch } = await import('./patch-host.ts');
      return graphOfPatch({ engine, files: model.files, signal }, request);
    });
  }

  check(graph: BoundGraph, factors: readonly number[]): Promise<Outcome<readonly Refusal[]>> {
    return this.#settle(null, () => Promise.resolve(this.#need().engine.check(graph, lanesOf(factors))));
  }

  storage(): ReturnType<HostApi['storage']> {
    return this.#settle(null, () => this.#storage().list());
  }

  download(id: number, request: LoadRequest, progress: MessagePort): ReturnType<HostApi['download']> {
    return this.#withProgress(id, progress, async (onProgress, signal) => {
      await this.#storage().download(request, onProgress, signal);
      return null;
    });
  }

  keep(label: string, files: readonly ChosenFile[], id: number, progress: MessagePort): ReturnType<HostApi['keep']> {
    return this.#withProgress(id, progress, (onProgress, signal) => this.#storage().keep(label, files, onProgress, signal));
  }

  verify(id: number, key: string, progress: MessagePort): ReturnType<HostApi['verify']> {
    return this.#withProgress(id, progress, async (onProgress, signal) => {
      await this.#storage().verify(key, onProgress, signal);
      return null;
    });
  }

  remove(key: string): ReturnType<HostApi['remove']> {
    return this.#settle(null, async () => {
      await this.#storage().remove(key);
      return null;
    });
  }

  #withProgress<T>(
    id: number,
    port: MessagePort,
    work: (onProgress: (message: unknown) => void, signal: AbortSignal) => Promise<T>,
  ): Promise<Outcome<T>> {
    return this.#settle(id, async (signal) => {
      try {
        return await work((message) => port.postMessage(message), signal);
      } finally {
        port.close();
      }
    });
  }
}
