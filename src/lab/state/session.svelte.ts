import type { LoadProgress } from '../../engine/engine.ts';
import type { ErrorData } from '../../errors/error.ts';
import { EngineClient } from '../engine-client.ts';
import type { DeviceReport, Loaded } from '../engine-protocol.ts';
import { placeLabel, type ModelChoice } from '../experiment.ts';
import { asError } from './notices.svelte.ts';
import { hubToken } from './hub-token.svelte.ts';
import { runners } from './runners.svelte.ts';
import { settings } from './settings.svelte.ts';

export type SessionState =
  | { readonly kind: 'none' }
  | { readonly kind: 'loading'; readonly choice: ModelChoice; readonly progress: LoadProgress | null }
  | { readonly kind: 'ready'; readonly loaded: Loaded }
  | { readonly kind: 'failed'; readonly choice: ModelChoice; readonly error: ErrorData }
  /** The device went away; what was loaded can be loaded again. */
  | { readonly kind: 'lost'; readonly loaded: Loaded; readonly error: ErrorData };

/** The engine's worker and the one model that is loaded in it. */
class Session {
  state = $state.raw<SessionState>({ kind: 'none' });
  device = $state.raw<DeviceReport | null>(null);
  #client: EngineClient | null = null;
  #loading: AbortController | null = null;
  #makeWorker: (() => Worker) | null = null;

  start(makeWorker: () => Worker): void {
    this.#makeWorker = makeWorker;
    this.client
      .device()
      .then((device) => (this.device = device))
      .catch(() => undefined);
  }

  get client(): EngineClient {
    if (!this.#client) {
      if (!this.#makeWorker) throw new Error('the session has not been started');
      const worker = this.#makeWorker();
      this.#client = new EngineClient(worker, () => worker.terminate());
    }
    return this.#client;
  }

  get loaded(): Loaded | null {
    return this.state.kind === 'ready' || this.state.kind === 'lost' ? this.state.loaded : null;
  }

  get ready(): boolean {
    return this.state.kind === 'ready';
  }

  /** Loads a model in place of the one before. Resolves to false when it failed or was cancelled; the state says why. */
  async load(choice: ModelChoice): Promise<boolean> {
    this.#loading?.abort();
    const abort = new AbortController();
    this.#loading = abort;
    // A WebAssembly memory never shrinks and its threads are fixed: the next model gets a new one.
    if (this.loaded?.info.engine === 'onnx' && !this.client.busy) this.#end();
    this.state = { kind: 'loading', choice, progress: null };
    try {
      const runnerToken = choice.place.kind === 'runner' ? runners.tokenFor(choice.place.address) : null;
      const hub = settings.hub.replace(/\/+$/, '');
      const request = { model: choice, page: document.baseURI, hub, token: hubToken.for(hub), engine: settings.engine, runnerToken };
      const loaded = await this.client.load(
        request,
        (progress) => {
          if (this.#loading === abort) this.state = { kind: 'loading', choice, progress };
        },
        abort.signal,
      );
      if (this.#loading !== abort) return false;
      this.state = { kind: 'ready', loaded };
      return true;
    } catch (cause) {
      if (this.#loading !== abort) return false;
      const error = asError(cause);
      if (error.code === 'device/out-of-memory') this.#end();
      this.state = error.code === 'request/aborted' ? { kind: 'none' } : { kind: 'failed', choice, error };
      return false;
    }
  }

  cancelLoad(): void {
    this.#loading?.abort();
  }

  /** Notes that the device is gone, when that is what an error says. */
  noteLoss(error: ErrorData): void {
    if (error.code === 'device/lost' && this.state.kind === 'ready') this.state = { kind: 'lost', loaded: this.state.loaded, error };
  }

  /** Starts a fresh worker and loads the lost model again. */
  async recover(): Promise<boolean> {
    const { loaded } = this;
    if (!loaded) return false;
    this.#end();
    return this.load(loaded.choice);
  }

  /** The next request gets a fresh worker. */
  #end(): void {
    this.#client?.dispose();
    this.#client = null;
  }

  get label(): string {
    switch (this.state.kind) {
      case 'none':
        return 'no model';
      case 'loading':
      case 'failed':
        return placeLabel(this.state.choice.place);
      case 'ready':
      case 'lost':
        return this.state.loaded.label;
    }
  }
}

export const session = new Session();
