import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A real `tiller serve` on loopback, with the embedded model and a smaller one of another shape, both on the ONNX engine. */
export interface RunnerProcess {
  readonly address: string;
  /** At once, as when the machine goes down. */
  kill(): Promise<void>;
  /** On the same port and with the same jobs. */
  startAgain(): Promise<void>;
  /** Kills it and takes its files away. */
  end(): Promise<void>;
}

export const token = 'token-of-the-tests-0123456789';

async function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}

/** @param origin of the page that may use it; null for none but those on the usual ports */
export async function startRunner(origin: string | null): Promise<RunnerProcess> {
  const port = await freePort();
  const results = mkdtempSync(join(tmpdir(), 'tiller-runner-'));
  const models = ['models/stories15M', 'test/goldens/real_stories260K/model'].flatMap((folder) => ['--models', folder]);
  const allowed = origin === null ? [] : ['--origin', origin];
  const args = [
    'runner/tiller.js',
    'serve',
    ...models,
    '--port',
    String(port),
    '--engine',
    'onnx',
    '--results',
    results,
    ...allowed,
    '--json',
  ];
  let child: ChildProcess | null = null;

  async function start(): Promise<void> {
    const started = spawn(process.execPath, args, {
      env: { ...process.env, TILLER_RUNNER_TOKEN: token },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child = started;
    let said = '';
    started.stderr.on('data', (data: Buffer) => (said += data.toString()));
    await new Promise<void>((resolve, reject) => {
      started.stdout.once('data', () => resolve());
      started.once('exit', (code) => reject(new Error(`tiller serve ended with ${code}: ${said}`)));
    });
  }
  async function kill(): Promise<void> {
    const running = child;
    child = null;
    if (!running || running.exitCode !== null) return;
    const gone = new Promise((resolve) => running.once('exit', resolve));
    running.kill('SIGKILL');
    await gone;
  }
  await start();
  return {
    address: `http://127.0.0.1:${port}`,
    kill,
    startAgain: start,
    async end() {
      await kill();
      rmSync(results, { recursive: true, force: true });
    },
  };
}
