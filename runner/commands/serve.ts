import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { tokenPattern } from '../../src/engine/remote/protocol.ts';
import { TillerError } from '../../src/errors/error.ts';
import { cacheFolder } from '../cache-folder.ts';
import { engineOptions, type Command } from '../command.ts';
import { engineChoice } from '../open-engine.ts';
import { builtFolder } from '../open-model.ts';
import { usage, type Options } from '../options.ts';
import type { Output } from '../output.ts';
import { defaultRetention, type Retention } from '../jobs/retention.ts';
import { defaultLimits, labOrigins, type RunnerConfig } from '../server/config.ts';
import { defaultPool } from '../server/runner.ts';
import { findServedModels } from '../server/served-models.ts';
import { openServedJobs } from '../server/served-jobs.ts';
import { startRunner } from '../server/start.ts';
import { version } from '../version.ts';

/** Port that a runner takes unless told otherwise. */
const PORT = 4600;
const TOKEN_BYTES = 32;

const isLoopback = (address: string): boolean => address === 'localhost' || address === '::1' || /^127\.\d+\.\d+\.\d+$/.test(address);

/** @throws file/unreadable */
function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new TillerError('file/unreadable', { file: path, problem: cause instanceof Error ? cause.message : String(cause) }, { cause });
  }
}

/** The token from a file or the environment; where other machines can reach the runner, else a new one. */
function tokenOption(options: Options, address: string): { readonly token: string | null; readonly made: boolean } {
  const file = options.text('token-file');
  const given = file === null ? process.env.TILLER_RUNNER_TOKEN : readText(file);
  if (given !== undefined && given.trim() !== '') {
    const token = given.trim();
    if (!tokenPattern.test(token))
      throw new TillerError('runner/token-form', { problem: 'it is too short, too long, or has other characters' });
    return { token, made: false };
  }
  if (file !== null) throw new TillerError('runner/token-form', { problem: `${file} is empty` });
  if (isLoopback(address)) return { token: null, made: false };
  return { token: randomBytes(TOKEN_BYTES).toString('base64url'), made: true };
}

function tlsOption(options: Options): RunnerConfig['tls'] {
  const cert = options.text('tls-cert');
  const key = options.text('tls-key');
  if (cert === null && key === null) return null;
  if (cert === null || key === null) throw usage('--tls-cert and --tls-key go together');
  return { cert: readText(cert), key: readText(key) };
}

/** Origins as browsers send them. @throws usage */
function originOption(options: Options): string[] {
  return options.all('origin').map((given) => {
    const origin = URL.canParse(given) ? new URL(given).origin : 'null';
    if (origin === 'null') throw usage(`--origin is "${given}", expected the address of a page such as https://lab.example`);
    return origin;
  });
}

/** Folders that were named, else the embedded model's. @throws usage */
function modelFolders(options: Options): readonly string[] {
  const given = options.all('models');
  if (given.length > 0) return given;
  const embedded = builtFolder('stories15M');
  if (embedded === null || !existsSync(embedded)) throw usage('--models FOLDER is needed: the embedded model is not built yet');
  return [embedded];
}

/** @throws usage */
function databaseOption(options: Options): string | null {
  const url = options.text('database');
  if (url !== null && !/^postgres(ql)?:\/\//.test(url)) throw usage('--database expects postgres://USER:PASSWORD@HOST/DATABASE');
  return url;
}

/** Which ended jobs are kept. @throws usage */
function keepOption(options: Options): Retention {
  const days = options.integer('keep-days', 0, 36_500);
  const count = options.integer('keep-jobs', 0, 1_000_000_000);
  return {
    ageMs: days === undefined ? defaultRetention.ageMs : days === 0 ? null : days * 86_400_000,
    count: count === undefined ? defaultRetention.count : count === 0 ? null : count,
  };
}

async function run(options: Options, output: Output, signal: AbortSignal): Promise<void> {
  const address = options.text('address') ?? '127.0.0.1';
  const port = options.integer('port', 0, 65535) ?? PORT;
  const { engine, quantization, precision, weightCache, anyway } = engineChoice(options);
  if (engine === 'remote') throw usage('a runner runs models itself: --engine auto, webgpu, onnx or reference');
  const { token, made } = tokenOption(options, address);
  const tls = tlsOption(options);
  const seconds = (name: 'stuck-after' | 'client-timeout', otherwise: number): number => {
    const given = options.number(name, 1, 86_400);
    return given === undefined ? otherwise : given * 1000;
  };
  const config: RunnerConfig = {
    token,
    origins: [...labOrigins, ...originOption(options)],
    hostNames: options.all('host-name'),
    tls,
    limits: {
      ...defaultLimits,
      clientTimeout: seconds('client-timeout', defaultLimits.clientTimeout),
      rate: options.integer('rate', 1) ?? defaultLimits.rate,
    },
    engine: { engine, quantization, precision, weightCache, anyway, maxContext: options.integer('max-context', 32) ?? null },
    program: version(),
    folder: options.text('results') ?? join(cacheFolder(), 'runner'),
    log: options.choice('log', ['quiet', 'requests', 'prompts'], 'quiet'),
  };
  const pool = {
    ...defaultPool,
    loaded: options.integer('loaded', 1) ?? defaultPool.loaded,
    stuck: seconds('stuck-after', defaultPool.stuck),
  };
  const { models, skipped } = await findServedModels(modelFolders(options), signal);
  for (const { name, reason } of skipped) output.note(`not served: ${name}: ${reason}`);
  const jobs = await openServedJobs({
    database: databaseOption(options),
    config,
    keep: keepOption(options),
    onError: ({ code, message }) => output.note(`jobs: ${message} (${code})`),
  });
  const running = await startRunner({ config, pool, models, address, port, logTo: process.stderr, more: [jobs.more] }).catch(
    async (error: unknown) => {
      await jobs.close();
      throw error;
    },
  );
  const names = models.map(({ name }) => name);
  output.note(`serving ${names.join(', ')} at ${running.address}`);
  if (made) output.note(`token (shown once): ${token}`);
  if (!isLoopback(address) && !tls)
    output.note('without TLS, token and texts can be read on the way: --tls-cert and --tls-key, or a reverse proxy (docs/runner.md)');
  output.announce({ address: running.address, models: names, ...(made ? { token } : {}) });
  if (!signal.aborted) await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
  output.note('stopping');
  // What runs goes back to the queue before its engine ends.
  await jobs.stop();
  await running.close();
  await jobs.close();
}

export const serve: Command = {
  verb: 'serve',
  summary: 'a runner: this machine runs models for the lab and the command line elsewhere',
  usage: 'serve [--models FOLDER ...] [--port N] [--address A] [--token-file F] [--origin URL ...]',
  options: [
    'models',
    'port',
    'address',
    'token-file',
    'tls-cert',
    'tls-key',
    'origin',
    'host-name',
    'loaded',
    'max-context',
    'stuck-after',
    'client-timeout',
    'rate',
    'log',
    'results',
    'database',
    'keep-days',
    'keep-jobs',
    ...engineOptions,
  ],
  run,
};
