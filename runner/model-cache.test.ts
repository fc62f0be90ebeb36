import { spawn } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { Scratch, execute, golden } from '../test/cli.ts';
import { HubServer, type Content } from '../test/hub/hub-server.ts';
import { ggufSample } from '../test/weights/gguf-model.ts';
import { goldenModel } from '../test/weights/golden-weights.ts';
import { onnxSample } from '../test/weights/onnx-sample.ts';

const hub = new HubServer();
let scratch: Scratch;
const folder = golden('llama_gqa_tied');
const model = goldenModel('llama_gqa_tied');
const read = (name: string): Uint8Array => new Uint8Array(readFileSync(join(folder, name)));
const weights = read('model.safetensors');
const safetensors = { 'config.json': read('config.json'), 'model.safetensors': weights, 'README.md': read('config.json') };
const matrix = { kind: 'nbits', bits: 4, block: 32, zeros: false, half: true, named: 'default' } as const;
const sample = onnxSample(model.spec, (name) => model.weights(name), { layout: 'builder', matrix, external: 'model_q4.onnx_data' });
const onnx = { 'config.json': read('config.json'), 'onnx/model_q4.onnx': sample.model, 'onnx/model_q4.onnx_data': sample.data };
const gguf = (type: 'Q8_0' | 'F32'): Uint8Array => ggufSample('llama_gqa_tied', 'llama', type).bytes;
const ggufs = { 'tiny-Q8_0.gguf': gguf('Q8_0'), 'tiny-F32.gguf': gguf('F32'), 'mmproj-F16.gguf': new Uint8Array(2000) };

beforeAll(() => hub.start());
afterAll(() => hub.stop());
beforeEach(() => {
  hub.reset();
  scratch = new Scratch();
});
afterEach(() => {
  vi.unstubAllEnvs();
  scratch.remove();
});

const serve = (files: Readonly<Record<string, Content>>, more = {}): void => void hub.repositories.set('owner/tiny', { files, ...more });
const environment = (token = ''): Record<string, string> => ({ HF_ENDPOINT: hub.address, HF_TOKEN: token, XDG_CACHE_HOME: scratch.folder });
const run = (args: readonly string[], token = '') => {
  for (const [name, value] of Object.entries(environment(token))) vi.stubEnv(name, value);
  return execute([...args, '--json']);
};
const result = async (args: readonly string[], token = ''): Promise<Record<string, unknown>> => {
  const { status, stdout, stderr } = await run(args, token);
  expect(status, stderr).toBe(0);
  return JSON.parse(stdout) as Record<string, unknown>;
};
const failure = async (args: readonly string[], token = ''): Promise<{ code: string; message: string }> => {
  const { status, stdout } = await run(args, token);
  expect(status).toBe(1);
  return (JSON.parse(stdout) as { error: { code: string; message: string } }).error;
};
const kept = (name: string, place = 'owner--tiny'): string => join(scratch.folder, 'tiller', 'models', place, name);

describe('models from the hub', () => {
  it('are downloaded once, then used without any request', async () => {
    serve(safetensors, { licence: 'mit' });
    const first = await run(['info', '--model', 'owner/tiny', '--engine', 'reference']);
    expect(first.status, first.stderr).toBe(0);
    expect(readFileSync(kept('model.safetensors')).equals(weights)).toBe(true);
    hub.seen.length = 0;
    expect((await run(['info', '--model', 'owner/tiny', '--engine', 'reference'])).stdout).toBe(first.stdout);
    expect(hub.seen).toEqual([]);
  });

  it('are listed, verified and removed', async () => {
    serve(safetensors, { licence: 'mit' });
    await result(['models', 'fetch', 'owner/tiny']);
    expect(await result(['models'])).toMatchObject({ downloaded: [{ repository: 'owner/tiny', complete: true, licence: 'mit' }] });
    hub.seen.length = 0;
    await result(['models', 'verify', 'owner/tiny']);
    const changed = weights.slice();
    changed[changed.length - 1] ^= 1;
    writeFileSync(kept('model.safetensors'), changed);
    expect((await failure(['models', 'verify', 'owner/tiny'])).code).toBe('model/hash');
    await result(['models', 'remove', 'owner/tiny']);
    expect(existsSync(kept('config.json'))).toBe(false);
    expect((await failure(['models', 'verify', 'owner/tiny'])).code).toBe('model/not-found');
    expect(hub.seen).toEqual([]);
  });

  it('show the ways they have their weights, and the one that is taken', async () => {
    serve({ ...onnx, ...ggufs });
    const listed = await result(['models', 'list', 'owner/tiny']);
    expect(listed).toMatchObject({ commit: hub.commitOf('owner/tiny'), taken: 'onnx/model_q4.onnx' });
    expect((listed.weights as { path: string }[]).map(({ path }) => path)).toEqual([
      'onnx/model_q4.onnx',
      'tiny-F32.gguf',
      'tiny-Q8_0.gguf',
    ]);
    expect((await result(['models', 'list', 'owner/tiny', '--file', 'q8_0'])).taken).toBe('tiny-Q8_0.gguf');
    expect((await failure(['models', 'fetch', 'owner/tiny', '--file', 'Q4_K_M'])).message).toContain('there are: onnx/model_q4.onnx');
  });

  it('come as ONNX with its data, or as the GGUF file that is named', async () => {
    serve({ ...onnx, ...ggufs });
    expect(await result(['models', 'fetch', 'owner/tiny'])).toMatchObject({ family: 'llama', weights: 'onnx/model_q4.onnx', stored: ['int4 symmetric in 32', 'F32'] }); // prettier-ignore
    expect(await result(['models', 'fetch', 'owner/tiny', '--file', 'Q8_0'])).toMatchObject({
      weights: 'tiny-Q8_0.gguf',
      stored: expect.arrayContaining(['Q8_0']) as unknown,
    });
    expect(readdirSync(kept('.', 'owner--tiny~Q8_0')).sort()).toEqual(['manifest.json', 'tiny-Q8_0.gguf']);
    hub.seen.length = 0;
    await result(['info', '--model', 'owner/tiny:Q8_0', '--engine', 'reference']);
    await result(['info', '--model', 'owner/tiny', '--engine', 'reference']);
    expect(hub.seen).toEqual([]);
  });

  it('go on after the process was killed', { timeout: 120_000 }, async () => {
    serve(safetensors);
    hub.piece = 4096;
    let pieces = 0;
    let killed = false;
    const child = spawn(process.execPath, [fileURLToPath(new URL('tiller.js', import.meta.url)), 'models', 'fetch', 'owner/tiny'], {
      env: { ...process.env, ...environment() },
    });
    const gone = new Promise((resolve) => child.on('close', resolve));
    // Chunks are larger than this model, so the server gives the file in two answers: the second is held until the process is dead.
    hub.trouble = (request, response, host) => {
      const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
      if (host !== 'cdn' || killed || !range) return false;
      if (pieces++ > 0) {
        killed = child.kill('SIGKILL');
        return true;
      }
      const [start, end] = [Number(range[1]), 8192];
      response.writeHead(206, { 'content-range': `bytes ${start}-${end - 1}/${weights.length}`, 'content-length': end - start });
      response.end(weights.subarray(start, end));
      return true;
    };
    await gone;
    expect(killed).toBe(true);
    hub.trouble = null;
    hub.seen.length = 0;
    const fetched = await result(['models', 'fetch', 'owner/tiny']);
    expect(fetched.complete).toBe(true);
    expect(hub.seen.some(({ url }) => url.includes('/api/'))).toBe(false);
    expect(readFileSync(kept('model.safetensors')).equals(weights)).toBe(true);
  });

  it('go on where an interrupted download stopped', async () => {
    serve(safetensors);
    await result(['models', 'fetch', 'owner/tiny']);
    const manifest = JSON.parse(readFileSync(kept('manifest.json'), 'utf8')) as { files: { name: string; sha256: string | null }[] };
    manifest.files.forEach((file) => (file.sha256 = file.name === 'model.safetensors' ? null : file.sha256));
    writeFileSync(kept('manifest.json'), JSON.stringify(manifest));
    writeFileSync(kept('model.safetensors'), weights.subarray(0, 1000));
    hub.seen.length = 0;
    await result(['models', 'fetch', 'owner/tiny']);
    expect(hub.rangesOf('model.safetensors')).toEqual([1000, 1000]);
    expect(statSync(kept('model.safetensors')).size).toBe(weights.length);
  });

  it('that are gated need the token of somebody who accepted the terms', async () => {
    serve(safetensors, { gated: 'terms' });
    hub.accepted = 'hf_yes';
    expect(await failure(['models', 'fetch', 'owner/tiny'])).toMatchObject({ code: 'hub/gated' });
    expect((await failure(['models', 'fetch', 'owner/tiny'], 'hf_no')).message).toContain('terms were not accepted');
    await result(['models', 'fetch', 'owner/tiny'], 'hf_yes');
    expect(hub.seen.filter(({ host, authorization }) => host === 'cdn' && authorization !== null)).toEqual([]);
    // Nothing of the token is written.
    expect(readFileSync(kept('manifest.json'), 'utf8')).not.toContain('hf_yes');
  });

  it('that are not there are a named error', async () => {
    expect((await failure(['info', '--model', 'owner/nothing'])).code).toBe('model/not-found');
    expect((await failure(['info', '--model', 'nothing'])).code).toBe('model/not-found');
  });
});
