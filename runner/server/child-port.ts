import { Worker } from 'node:worker_threads';
import type { FromChild } from './engine-process.ts';
import type { SessionPort } from './engine-session.ts';
import type { ToEngine } from './engine-protocol.ts';
import { Joiner, PieceSender, type Part } from './message-pieces.ts';

/** Signals that a terminal or a supervisor sends to all processes of a runner: the server hears them and ends its engines in order. */
const serverSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** At once, and without what drivers do when a process leaves politely. */
const end = (): void => void process.kill(process.pid, 'SIGKILL');

/**
 * The port of an engine's process to the server that started it. From here on the process ends when the server does, however that ends and
 * whatever the engine is doing, and what JavaScript throws where nobody catches it is told before.
 */
export function childPort(): SessionPort {
  const send = process.send?.bind(process);
  if (!send) throw new Error('this file is the entry of a process that a runner starts');
  const tell = (part: FromChild, taken: (error: Error | null) => void): void => void send(part, undefined, undefined, taken);
  for (const signal of serverSignals) process.on(signal, () => undefined);
  process.on('disconnect', end);
  process.on('uncaughtException', (error: unknown) => {
    tell({ part: 'fallen', problem: error instanceof Error ? error.message : String(error) }, () => process.exit(1));
  });
  // An engine that computes hears nothing of a connection that ends; this does.
  new Worker(new URL('./parent-watch.js', import.meta.url), { workerData: Number(process.argv[2]) }).unref();
  const sender = new PieceSender(tell);
  return {
    postMessage: (message) => sender.post(message),
    on: (_event, listener) => {
      const joiner = new Joiner((message) => listener(message as ToEngine));
      return process.on('message', (part) => joiner.take(part as Part));
    },
  };
}
