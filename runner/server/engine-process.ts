import { fork } from 'node:child_process';
import { childEnvironment } from './child-environment.ts';
import type { FromEngine, ToEngine } from './engine-protocol.ts';
import { Joiner, PieceSender, type Part } from './message-pieces.ts';

/** An engine's process as the server sees it. */
export interface EngineProcess {
  /** Number of the process; null where it is none of its own. */
  readonly pid: number | null;
  post(message: ToEngine): void;
  /** Ends it at once, whatever it does, and gives its memory back: done when the process is no more. */
  kill(): Promise<void>;
}

export interface EngineEvents {
  readonly onMessage: (message: FromEngine) => void;
  /** It ended by itself: a crash, or its memory's end. Not called after kill. */
  readonly onEnd: (problem: string) => void;
}

export type StartEngine = (events: EngineEvents) => EngineProcess;

/** What comes from a child: parts of messages, and what JavaScript threw where nobody caught it. */
export type FromChild = Part | { readonly part: 'fallen'; readonly problem: string };

/**
 * A process of Node for one engine, so that what ends it (a driver, an abort, the machine's memory) ends nothing else. It gets no secrets, its
 * output goes to standard error, and it ends when this process does, however that ends.
 * @param entry a JavaScript file that calls serveEngine with childPort
 */
export const childProcess =
  (entry: URL): StartEngine =>
  ({ onMessage, onEnd }) => {
    const child = fork(entry, [String(process.pid)], {
      serialization: 'advanced',
      execArgv: [],
      env: childEnvironment(process.env),
      // What drivers print must not get between the lines of a JSON document.
      stdio: ['ignore', 2, 2, 'ipc'],
    });
    let killed = false;
    let problem: string | null = null;
    const joiner = new Joiner((message) => {
      if (!killed) onMessage(message as FromEngine);
    });
    const sender = new PieceSender((part, taken) => child.send(part, taken));
    child.on('message', (part: FromChild) => {
      if (part.part === 'fallen') problem = part.problem;
      else joiner.take(part);
    });
    const gone = new Promise<void>((resolve) => {
      child.once('error', (error) => {
        problem ??= error.message;
        if (child.pid === undefined) resolve();
      });
      child.once('exit', (code, signal) => {
        const end = (): void => {
          problem ??= ending(code, signal);
          resolve();
        };
        // What it said last may still be on its way.
        if (child.connected) child.once('disconnect', end);
        else end();
      });
    });
    void gone.then(() => {
      if (!killed) onEnd(problem ?? 'its process could not be started');
    });
    return {
      pid: child.pid ?? null,
      post: (message) => sender.post(message),
      kill: async () => {
        killed = true;
        child.kill('SIGKILL');
        await gone;
      },
    };
  };

function ending(code: number | null, signal: NodeJS.Signals | null): string {
  if (signal === 'SIGKILL') return 'its process was killed, as systems do that run out of memory';
  return signal === null ? `its process ended with code ${code}` : `its process was ended by ${signal}`;
}

export const startChild = childProcess(new URL('./engine-child.js', import.meta.url));
