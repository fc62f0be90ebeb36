import { Worker } from 'node:worker_threads';
import type { FromThread, ToThread } from './thread-protocol.ts';

/** An engine's thread as the server sees it. */
export interface EngineThread {
  post(message: ToThread): void;
  /** Ends it at once, whatever it does, and gives its memory back. */
  kill(): Promise<void>;
}

export interface ThreadEvents {
  readonly onMessage: (message: FromThread) => void;
  /** It ended by itself: a crash, or its memory's end. Not called after kill. */
  readonly onEnd: (problem: string) => void;
}

export type StartThread = (events: ThreadEvents) => EngineThread;

/** A worker thread of Node. Engines in threads share the process: a driver that kills it takes the server down too; what JavaScript throws does not. */
export const workerThread =
  (entry: URL): StartThread =>
  ({ onMessage, onEnd }) => {
    const worker = new Worker(entry, { name: 'tiller engine' });
    let killed = false;
    let problem: string | null = null;
    worker.on('message', (message: FromThread) => {
      if (!killed) onMessage(message);
    });
    worker.on('messageerror', (error) => (problem = error.message));
    worker.on('error', (error) => (problem = error.message));
    worker.on('exit', (code) => {
      if (!killed) onEnd(problem ?? `its thread ended with code ${code}`);
    });
    return {
      post: (message) => worker.postMessage(message),
      kill: async () => {
        killed = true;
        await worker.terminate();
      },
    };
  };

export const startWorker = workerThread(new URL('./engine-worker.js', import.meta.url));
