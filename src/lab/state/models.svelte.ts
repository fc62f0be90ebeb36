import type { LoadProgress } from '../../engine/engine.ts';
import type { ErrorData } from '../../errors/error.ts';
import type { ChosenFile } from '../../store/files.ts';
import { listServed, type ServedModel } from '../../store/served-models.ts';
import type { StorageState } from '../engine-protocol.ts';
import type { ModelChoice } from '../experiment.ts';
import { asError, notices } from './notices.svelte.ts';
import { session } from './session.svelte.ts';

/** What the browser keeps, and the one piece of work on it that is under way. */
class Models {
  storage = $state.raw<StorageState | null>(null);
  problem = $state.raw<ErrorData | null>(null);
  /** Models that lie next to the page. */
  served = $state.raw<readonly ServedModel[]>([]);
  work = $state.raw<{ readonly label: string; readonly progress: LoadProgress | null } | null>(null);
  #abort: AbortController | null = null;

  async refresh(): Promise<void> {
    try {
      this.storage = await session.client.storage();
      this.problem = null;
    } catch (cause) {
      this.problem = asError(cause);
    }
  }

  /** What the page's own server offers; nothing where it is a server of plain files. */
  async findServed(): Promise<void> {
    try {
      this.served = await listServed(document.baseURI, { fetch: (...args) => fetch(...args) });
    } catch (cause) {
      notices.fail(cause);
    }
  }

  cancel(): void {
    this.#abort?.abort();
  }

  async #run<T>(label: string, ask: (onProgress: (progress: LoadProgress) => void, signal: AbortSignal) => Promise<T>): Promise<T | null> {
    this.#abort?.abort();
    const abort = new AbortController();
    this.#abort = abort;
    this.work = { label, progress: null };
    try {
      return await ask((progress) => {
        if (this.#abort === abort) this.work = { label, progress };
      }, abort.signal);
    } catch (cause) {
      notices.fail(cause);
      return null;
    } finally {
      if (this.#abort === abort) this.work = null;
      await this.refresh();
    }
  }

  /** Asks the browser not to clear the models when space runs short. Only a page can ask, not a worker. */
  async askToKeep(): Promise<void> {
    await navigator.storage?.persist?.();
  }

  async keep(label: string, files: readonly ChosenFile[]): Promise<ModelChoice | null> {
    await this.askToKeep();
    return this.#run(label, (onProgress, signal) => session.client.keep(label, files, onProgress, signal));
  }

  async verify(key: string, label: string): Promise<void> {
    const outcome = await this.#run(label, async (onProgress, signal) => {
      await session.client.verify(key, onProgress, signal);
      return true;
    });
    if (outcome) notices.say(`${label} is as it was when it was downloaded.`);
  }

  async remove(key: string): Promise<void> {
    try {
      await session.client.remove(key);
    } catch (cause) {
      notices.fail(cause);
    }
    await this.refresh();
  }
}

export const models = new Models();
