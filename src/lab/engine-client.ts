import { releaseProxy, transfer, wrap, type Endpoint, type Remote } from 'comlink';
import type { GenerateSummary } from '../engine/engine.ts';
import { TillerError } from '../errors/error.ts';
import type { PatchStudy } from '../evals/patch-study.ts';
import type { ExampleSet } from '../examples/example.ts';
import type { FitEvent, PlaceView } from '../fit/report.ts';
import type { BoundGraph } from '../graph/document.ts';
import type { Refusal } from '../graph/refusal.ts';
import type {
  DeviceReport, ExamplesRequest, ExamplesView, FitAnswer, FitRequest, HostApi, InspectRequest, Loaded, LoadMessage, LoadRequest, Outcome, PatchChoice, PatchEvent,
  PatchGraphRequest, PatchStudyRequest, PatchView, PromptToken, RunRequest, ShiftRequest, StorageState, StreamMessage, TokenShift,
} from './engine-protocol.ts'; // prettier-ignore
import type { ChosenFile } from '../store/files.ts';
import type { Input, ModelChoice } from './experiment.ts';
import type { Palette, Recipe } from './palette.ts';

type Progress = (message: LoadMessage) => void;

/** The page's side of the engine's worker: promises, abort signals and typed errors instead of messages. */
export class EngineClient {
  readonly #host: Remote<HostApi>;
  readonly #stop: () => void;
  #next = 1;
  #asked = 0;
  #leave: (error: TillerError) => void = () => undefined;
  /** Rejects when the worker is ended: it answers nothing any more. */
  readonly #left = new Promise<never>((_, reject) => (this.#leave = reject));

  /** @param stop ends the worker */
  constructor(endpoint: Endpoint, stop: () => void) {
    this.#host = wrap<HostApi>(endpoint);
    this.#stop = stop;
    this.#left.catch(() => undefined);
  }

  async #ask<T>(signal: AbortSignal | undefined, ask: (id: number) => Promise<Outcome<T>>): Promise<T> {
    if (signal?.aborted) throw new TillerError('request/aborted');
    const id = this.#next++;
    const cancel = (): void => void this.#host.cancel(id);
    signal?.addEventListener('abort', cancel, { once: true });
    this.#asked += 1;
    try {
      const outcome = await Promise.race([ask(id), this.#left]);
      if (!outcome.ok) throw TillerError.fromJSON(outcome.error);
      return outcome.value;
    } finally {
      this.#asked -= 1;
      signal?.removeEventListener('abort', cancel);
    }
  }

  /**
   * A port whose messages go to `listen`; what is still on its way when the answer is there comes first. Port and answer are separate
   * channels, so the host closes the port when done and the answer waits for that.
   */
  async #withPort<M, T>(listen: (message: M) => void, ask: (port: MessagePort) => Promise<T>): Promise<T> {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = (event: MessageEvent<M>) => listen(event.data);
    try {
      const value = await ask(port2);
      // Messages posted before the answer have been queued on port1 by now; a turn of the event loop delivers them.
      await new Promise((resolve) => setTimeout(resolve, 0));
      return value;
    } finally {
      port1.close();
    }
  }

  device(): Promise<DeviceReport> {
    return this.#ask(undefined, () => this.#host.device());
  }

  load(request: LoadRequest, onProgress: Progress, signal?: AbortSignal): Promise<Loaded> {
    return this.#withPort(onProgress, (port) => this.#ask(signal, (id) => this.#host.load(id, request, transfer(port, [port]))));
  }

  encode(input: Input): Promise<readonly PromptToken[]> {
    return this.#ask(undefined, () => this.#host.encode(input));
  }

  generate(request: RunRequest, onMessage: (message: StreamMessage) => void, signal: AbortSignal): Promise<GenerateSummary> {
    return this.#withPort(onMessage, (port) => this.#ask(signal, (id) => this.#host.generate(id, request, transfer(port, [port]))));
  }

  shifts(request: ShiftRequest, signal: AbortSignal): Promise<readonly (readonly TokenShift[])[]> {
    return this.#ask(signal, (id) => this.#host.shifts(id, request));
  }

  direction(recipe: Recipe, previous: Palette | null, signal?: AbortSignal): Promise<Palette> {
    return this.#ask(signal, (id) => this.#host.direction(id, recipe, previous));
  }

  examples(request: ExamplesRequest, signal: AbortSignal): Promise<ExamplesView> {
    return this.#ask(signal, (id) => this.#host.examples(id, request));
  }

  exampleSet(request: Pick<ExamplesRequest, 'source' | 'reading'>, signal: AbortSignal): Promise<ExampleSet> {
    return this.#ask(signal, (id) => this.#host.exampleSet(id, request));
  }

  fit(request: FitRequest, onEvent: (event: FitEvent) => void, signal: AbortSignal): Promise<FitAnswer> {
    return this.#withPort(onEvent, (port) => this.#ask(signal, (id) => this.#host.fit(id, request, transfer(port, [port]))));
  }

  inspect(request: InspectRequest, signal: AbortSignal): Promise<PlaceView> {
    return this.#ask(signal, (id) => this.#host.inspect(id, request));
  }

  patchView(choice: PatchChoice): Promise<PatchView> {
    return this.#ask(undefined, () => this.#host.patchView(choice));
  }

  patchStudy(request: PatchStudyRequest, onEvent: (event: PatchEvent) => void, signal: AbortSignal): Promise<PatchStudy> {
    return this.#withPort(onEvent, (port) => this.#ask(signal, (id) => this.#host.patchStudy(id, request, transfer(port, [port]))));
  }

  patchGraph(request: PatchGraphRequest, signal: AbortSignal): Promise<BoundGraph> {
    return this.#ask(signal, (id) => this.#host.patchGraph(id, request));
  }

  check(graph: BoundGraph, factors: readonly number[]): Promise<readonly Refusal[]> {
    return this.#ask(undefined, () => this.#host.check(graph, factors));
  }

  storage(): Promise<StorageState> {
    return this.#ask(undefined, () => this.#host.storage());
  }

  download(request: LoadRequest, onProgress: Progress, signal: AbortSignal): Promise<null> {
    return this.#withPort(onProgress, (port) => this.#ask(signal, (id) => this.#host.download(id, request, transfer(port, [port]))));
  }

  keep(label: string, files: readonly ChosenFile[], onProgress: Progress, signal: AbortSignal): Promise<ModelChoice> {
    return this.#withPort(onProgress, (port) => this.#ask(signal, (id) => this.#host.keep(label, files, id, transfer(port, [port]))));
  }

  verify(key: string, onProgress: Progress, signal: AbortSignal): Promise<null> {
    return this.#withPort(onProgress, (port) => this.#ask(signal, (id) => this.#host.verify(id, key, transfer(port, [port]))));
  }

  remove(key: string): Promise<null> {
    return this.#ask(undefined, () => this.#host.remove(key));
  }

  /** Whether something that was asked for is not answered yet. */
  get busy(): boolean {
    return this.#asked > 0;
  }

  /** Ends the worker; whatever is not answered fails with request/aborted. */
  dispose(): void {
    this.#leave(new TillerError('request/aborted'));
    this.#host[releaseProxy]();
    this.#stop();
  }
}
