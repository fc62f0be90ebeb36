import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Scratch, execute, golden, type CliResult } from '../test/cli.ts';
import { builtFolder } from './open-model.ts';

const bin = fileURLToPath(new URL('tiller.js', import.meta.url));
const scratch = new Scratch();
afterAll(() => scratch.remove());

interface Served {
  readonly child: ChildProcessWithoutNullStreams;
  readonly ready: { readonly address: string; readonly models: string[]; readonly token?: string };
  readonly stderr: () => string;
}

/** Each has its own: jobs are one runner's. */
let folders = 0;

/** `tiller serve` as a program of its own, once it is ready. */
function serve(args: readonly string[]): Promise<Served> {
  const results = scratch.path(`runner-${folders++}`);
  const child = spawn(process.execPath, [bin, 'serve', '--port', '0', '--results', results, '--json', ...args]);
  let stdout = '';
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  return new Promise((resolve, reject) => {
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk.toString();
      if (stdout.endsWith('\n')) resolve({ child, ready: JSON.parse(stdout) as Served['ready'], stderr: () => stderr });
    });
    child.on('close', (status) => reject(new Error(`ended with ${status}: ${stderr}`)));
  });
}

const stop = ({ child }: Served): Promise<number | null> =>
  new Promise((resolve) => {
    child.on('close', resolve);
    child.kill('SIGTERM');
  });

const document = (result: CliResult): Record<string, unknown> => {
  expect(result.status, result.stderr).toBe(0);
  return JSON.parse(result.stdout) as Record<string, unknown>;
};

describe('tiller serve', () => {
  const embedded = builtFolder('stories15M');
  const folder = embedded ?? golden('real_stories260K/model');
  let served: Served;
  beforeAll(async () => {
    served = await serve(['--models', folder, '--models', golden('llama_gqa_tied'), '--engine', 'onnx']);
  });
  afterAll(async () => {
    expect(await stop(served)).toBe(0);
  });

  it('says where it is and what it serves, and needs no token on this machine', () => {
    expect(served.ready.address).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect(served.ready.models).toHaveLength(2);
    expect(served.ready.token).toBeUndefined();
  });

  it('gives generate, score and capture the same documents as the engine here', async () => {
    const info = document(await execute(['info', '--model', folder, '--engine', 'onnx', '--json']));
    const { family, layers, heads, kvHeads, headDim, hidden, intermediate } = info as Record<string, number | string>;
    const graph = scratch.json('g.json', {
      tiller: 1,
      model: { family, layers, heads, kvHeads, headDim, hidden, intermediate },
      vectors: { v: { shape: [hidden], data: Array.from({ length: Number(hidden) }, (_, i) => Math.fround(Math.sin(i))) } },
      nodes: [{ id: 'push', edit: 'add', at: { point: 'resid_post', layer: 2 }, tokens: 'all', vector: 'v', strength: 0.2 }],
    });
    const tokens = scratch.json('t.json', [[1, 9, 17, 25, 33, 41], { ids: [1, 5, 6, 7], promptLength: 2 }]);
    const lines = [
      [
        'generate',
        '--prompt',
        'Once upon a time',
        '--graph',
        graph,
        '--factor',
        '1',
        '--factor',
        '-1',
        '--max-tokens',
        '24',
        '--temperature',
        '0.7',
      ],
      ['score', '--tokens', tokens, '--graph', graph],
      ['capture', '--tokens', tokens, '--points', 'z,resid_post', '--graph', graph, '--out', scratch.path('c.safetensors')],
    ];
    for (const line of lines) {
      const here = document(await execute([...line, '--model', folder, '--engine', 'onnx', '--json']));
      const remote = ['--engine', 'remote', '--runner', served.ready.address, '--model', served.ready.models[0]];
      const { runner, ...there } = document(await execute([...line, ...remote, '--json']));
      expect(runner).toBe(served.ready.address);
      expect(there).toEqual(here);
    }
  });

  it('says what is wrong with a runner that is asked for', async () => {
    const codeOf = async (...args: string[]): Promise<unknown> => {
      const { stdout } = await execute(['info', '--engine', 'remote', '--json', ...args]);
      return (JSON.parse(stdout) as { error: { code: string } }).error.code;
    };
    const at = ['--runner', served.ready.address];
    expect(await codeOf('--model', 'no-such-model', ...at)).toBe('runner/model');
    expect(await codeOf('--model', 'x', '--runner', 'http://127.0.0.1:9')).toBe('runner/unreachable');
    expect(await codeOf('--model', 'x', '--runner', 'nonsense://')).toBe('runner/address');
    expect(await codeOf('--model', 'x', '--quantize', 'q4', ...at)).toBe('usage');
  });

  it('says what is wrong with how it is started', async () => {
    const codeOf = async (...args: string[]): Promise<unknown> => {
      const { stdout } = await execute([
        'serve',
        '--json',
        '--results',
        scratch.path('other'),
        '--models',
        golden('llama_gqa_tied'),
        ...args,
      ]);
      return (JSON.parse(stdout) as { error: { code: string } }).error.code;
    };
    expect(await codeOf('--port', new URL(served.ready.address).port)).toBe('runner/listen');
    expect(await codeOf('--address', '203.0.113.7', '--port', '0')).toBe('runner/listen');
    expect(await codeOf('--token-file', scratch.write('short', 'short'))).toBe('runner/token-form');
    expect(await codeOf('--tls-cert', 'x')).toBe('usage');
    expect(await codeOf('--keep-days', '-1')).toBe('usage');
    expect(await codeOf('--keep-jobs', 'many')).toBe('usage');
    expect(await codeOf('--models', scratch.path('nowhere'))).toBe('runner/models');
    expect(await codeOf('--origin', 'nonsense')).toBe('usage');
  });

  it('makes a token where other machines can reach it, and works only with that', async () => {
    const wide = await serve(['--address', '0.0.0.0', '--models', golden('llama_gqa_tied')]);
    const { token = '', address } = wide.ready;
    expect(token).toMatch(/^[\w-]{43}$/);
    const local = address.replace('0.0.0.0', '127.0.0.1');
    expect((await fetch(`${local}/v1/capabilities`)).status).toBe(401);
    expect((await fetch(`${local}/v1/capabilities`, { headers: { authorization: `Bearer ${token}` } })).status).toBe(200);
    expect(wide.stderr().split(token)).toHaveLength(2);
    expect(wide.stderr()).toContain('without TLS');
    expect(await stop(wide)).toBe(0);
  });
});
