import { isIP, type Socket } from 'node:net';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { TillerError } from '../../src/errors/error.ts';
import { createApp, type MoreRoutes } from './app.ts';
import type { RunnerConfig } from './config.ts';
import { startChild, type StartEngine } from './engine-process.ts';
import { Metrics } from './metrics.ts';
import { Runner, type PoolSettings } from './runner.ts';
import type { ServedFiles } from './served-models.ts';
import { TensorStore } from './tensor-store.ts';

export interface RunnerSetup {
  readonly config: RunnerConfig;
  readonly pool: PoolSettings;
  readonly models: readonly ServedFiles[];
  readonly address: string;
  /** 0: a free one. */
  readonly port: number;
  readonly logTo?: { write(line: string): void };
  readonly more?: readonly MoreRoutes[];
  /** Milliseconds. @default performance.now */
  readonly now?: () => number;
  /** How the engine of a model is started. @default in a process of its own */
  readonly start?: (model: ServedFiles) => StartEngine;
}

export interface RunningRunner {
  /** As clients write it. */
  readonly address: string;
  readonly runner: Runner;
  readonly app: FastifyInstance;
  /** Ends requests and engines and gives everything back. */
  close(): Promise<void>;
}

/** Milliseconds that connections get to end by themselves. */
const LAST_WORDS = 1000;

const listenProblems: Readonly<Record<string, string>> = {
  EADDRINUSE: 'something else listens there already',
  EADDRNOTAVAIL: 'it is no address of this machine',
  EACCES: 'that takes more rights',
  ENOTFOUND: 'it cannot be looked up',
};

/** A runner that listens. @throws runner/listen */
export async function startRunner({
  config,
  pool,
  models,
  address,
  port,
  logTo,
  more,
  start,
  now = () => performance.now(),
}: RunnerSetup): Promise<RunningRunner> {
  const metrics = new Metrics();
  const tensors = await TensorStore.open(join(config.folder, 'tensors'), config.limits);
  const runner = new Runner({
    config,
    pool,
    models,
    tensors,
    start: start ?? (() => startChild),
    now,
    onRestart: (model, problem) => {
      metrics.restarts.inc({ model });
      app.log.warn({ model, problem }, 'engine restarted');
    },
  });
  const app = await createApp({ runner, metrics, ...(more ? { more } : {}), ...(logTo ? { logTo } : {}) });
  const sockets = new Set<Socket>();
  app.server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  try {
    await app.listen({ host: address, port });
  } catch (cause) {
    await app.close();
    await runner.close();
    const { code = '', message } = cause as NodeJS.ErrnoException;
    throw new TillerError('runner/listen', { address: `${address}:${port}`, problem: listenProblems[code] ?? message }, { cause });
  }
  const bound = app.server.address();
  const taken = typeof bound === 'object' && bound !== null ? bound.port : port;
  return {
    address: `${config.tls ? 'https' : 'http'}://${isIP(address) === 6 ? `[${address}]` : address}:${taken}`,
    runner,
    app,
    close: async () => {
      // Engines first: what runs is told why, then connections end.
      await runner.close();
      const timer = setTimeout(() => {
        for (const socket of sockets) socket.destroy();
      }, LAST_WORDS);
      await app.close();
      clearTimeout(timer);
    },
  };
}
