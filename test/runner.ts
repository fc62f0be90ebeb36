import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nodeNetwork } from '../runner/node-network.ts';
import { defaultLimits, type RunnerConfig, type RunnerLimits } from '../runner/server/config.ts';
import { defaultPool, type PoolSettings } from '../runner/server/runner.ts';
import { findServedModels } from '../runner/server/served-models.ts';
import { startRunner, type RunnerSetup, type RunningRunner } from '../runner/server/start.ts';
import type { Engine } from '../src/engine/engine.ts';
import { Connection } from '../src/engine/remote/connection.ts';
import { createRemoteEngine } from '../src/engine/remote/remote-engine.ts';

export interface TestRunnerOptions extends Partial<Pick<RunnerSetup, 'start' | 'now' | 'logTo' | 'more'>> {
  /** Folders. */
  readonly models: readonly string[];
  readonly config?: Partial<RunnerConfig>;
  readonly limits?: Partial<RunnerLimits>;
  readonly pool?: Partial<PoolSettings>;
}

export interface TestRunner extends RunningRunner {
  readonly connection: Connection;
  engine(model: string): Promise<Engine>;
}

/** A runner on a free port of this machine, with everything it keeps in a folder of its own. */
export async function openTestRunner({ models, config, limits, pool, ...rest }: TestRunnerOptions): Promise<TestRunner> {
  const folder = mkdtempSync(join(tmpdir(), 'tiller-runner-'));
  const served = await findServedModels(models, new AbortController().signal);
  const running = await startRunner({
    config: {
      ...{
        token: null,
        origins: ['http://localhost:4173'],
        hostNames: [],
        tls: null,
        program: '0.0.0-test',
        folder,
        log: 'quiet' as const,
      },
      engine: { engine: 'onnx', quantization: null, precision: 'auto', weightCache: 'off', anyway: true, maxContext: null },
      ...config,
      limits: { ...defaultLimits, rate: 1_000_000, ...limits },
    },
    pool: { ...defaultPool, ...pool },
    models: served.models,
    address: '127.0.0.1',
    port: 0,
    ...rest,
  });
  const place = { address: running.address, token: config?.token ?? null };
  return {
    ...running,
    connection: new Connection(place, nodeNetwork),
    engine: (model) => createRemoteEngine({ ...place, ...nodeNetwork, model }),
    close: async () => {
      await running.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** The code of what a promise rejects with. */
export const codeOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'no error',
    (error: { code?: unknown }) => error.code ?? error,
  );
