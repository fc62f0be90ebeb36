import { createHash } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import * as v from 'valibot';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import WebSocket from 'ws';
import { nodeOnnxRuntime } from '../onnx-host.ts';
import type { Capture, Engine } from '../../src/engine/engine.ts';
import { createOnnxEngine } from '../../src/engine/onnx/index.ts';
import { capabilities, refusals } from '../../src/engine/remote/documents.ts';
import { endpoints } from '../../src/engine/remote/endpoints.ts';
import { littleBytes } from '../../src/engine/remote/frames.ts';
import { wireGraph } from '../../src/engine/remote/graph-wire.ts';
import { createRemoteEngine } from '../../src/engine/remote/remote-engine.ts';
import { remoteWordDirections } from '../../src/engine/remote/word-directions.ts';
import type { BoundGraph } from '../../src/graph/document.ts';
import { wordDirections } from '../../src/model/word-direction.ts';
import { nodeNetwork } from '../node-network.ts';
import { golden } from '../../test/cli.ts';
import { generated } from '../../test/conformance/compare.ts';
import { graphOf, oneHead, rich } from '../../test/conformance/graphs.ts';
import { goldenFile, loadModelFolder } from '../../test/conformance/golden.ts';
import { codeOf, openTestRunner, type TestRunner } from '../../test/runner.ts';

const token = 'a-token-of-the-tests-0123456789';

/** A capture with a hash of its values: megabytes are not compared one by one. */
const hashed = ({ arrays, ...rest }: Capture): unknown => ({
  ...rest,
  arrays: arrays.map(({ data, ...about }) => ({ ...about, sha256: createHash('sha256').update(littleBytes(data)).digest('hex') })),
});

describe('the same from a runner as here', () => {
  const folders = { llama_gqa_tied: golden('llama_gqa_tied'), model: golden('real_stories260K/model') };
  let runner: TestRunner;
  beforeAll(async () => {
    runner = await openTestRunner({ models: Object.values(folders) });
  });
  afterAll(() => runner.close());

  it.each(Object.entries(folders))('tokens, scores and captures of %s, bit for bit, in a process of its own', async (name, folder) => {
    const { spec, source } = loadModelFolder(folder);
    const here = await createOnnxEngine(spec, source, await nodeOnnxRuntime(), { now: () => performance.now(), precision: 'f32' });
    const there = await runner.engine(name);
    const { sequences } = goldenFile(name === 'model' ? 'real_stories260K' : name);
    const graph = rich(spec, spec.vocab);
    const work = async (engine: Engine): Promise<unknown> => {
      const run = await generated(engine, {
        prompt: sequences[0].slice(0, 5),
        graph,
        maxTokens: 12,
        stop: [],
        sampling: { temperature: 0.8, seed: 7 },
      });
      const scores = await engine.score({ sequences: sequences.map((ids) => ({ ids, promptLength: 2 })), graph, top: 3, logits: true });
      const captured = await engine.capture({
        sequences: [{ ids: sequences[0] }],
        points: engine.model.points.map(({ point }) => ({ point })),
        graph,
      });
      return { tokens: run.tokens, logprobs: run.logprobs, edits: run.summary.edits, scores, captured };
    };
    expect(await work(there)).toStrictEqual(await work(here));
    const { kernels, runner: address, identity, ...info } = there.model;
    expect(address).toBe(runner.address);
    expect(kernels.length).toBeGreaterThan(0);
    expect(identity).toMatch(/^sampled-sha256:/);
    expect({ ...here.model, kernels: [] }).toMatchObject({ ...info, kernels: [], memory: { weights: here.model.memory.weights } });
    await here.dispose();
  });

  it('gives a capture that travels in pieces', async () => {
    const { spec, source } = loadModelFolder(folders.model);
    const here = await createOnnxEngine(spec, source, await nodeOnnxRuntime(), { now: () => performance.now(), precision: 'f32' });
    const there = await runner.engine('model');
    const ids = Array.from({ length: 400 }, (_, i) => 1 + ((i * 7) % (spec.vocab - 1)));
    const points = here.model.points.map(({ point }) => ({ point }));
    const work = (engine: Engine): Promise<Capture> => engine.capture({ sequences: [{ ids }, { ids: ids.slice(0, 9) }], points });
    const got = await work(there);
    expect(got.arrays.reduce((sum, { data }) => sum + data.byteLength, 0)).toBeGreaterThan(4 * 2 ** 20);
    expect(hashed(got)).toEqual(hashed(await work(here)));
    await here.dispose();
  });

  it('sends a large vector once', async () => {
    const { spec } = loadModelFolder(folders.llama_gqa_tied);
    const sent: string[] = [];
    const fetchSeen = (url: string, init?: RequestInit): Promise<Response> => {
      sent.push(`${init?.method} ${url.replace(runner.address, '')}`);
      return fetch(url, init);
    };
    const engine = await createRemoteEngine({
      ...nodeNetwork,
      fetch: fetchSeen,
      address: runner.address,
      token: null,
      model: 'llama_gqa_tied',
    });
    const data = Float32Array.from({ length: spec.vocab }, (_, i) => Math.fround(Math.cos(i)));
    const steer = () =>
      graphOf(spec, [{ id: 'bias', edit: 'add', at: { point: 'logits' }, tokens: 'all', vector: 'bias' }], {
        bias: { shape: [spec.vocab], data },
      });
    for (let i = 0; i < 3; i++) await engine.score({ sequences: [{ ids: [1, 2, 3] }], graph: steer() });
    expect(sent.filter((line) => line.startsWith('PUT'))).toHaveLength(1);
    const [put] = sent.filter((line) => line.startsWith('PUT'));
    const back = await fetch(runner.address + put.slice(4));
    expect(new Float32Array(await back.arrayBuffer())).toStrictEqual(data);
  });

  it('tells what it serves, and checks a graph, before anything is loaded', async () => {
    const fresh = await openTestRunner({ models: [folders.llama_gqa_tied] });
    const told = await fresh.connection.capabilities();
    expect(v.is(capabilities, told)).toBe(true);
    expect(told.models[0]).toMatchObject({ name: 'llama_gqa_tied', state: 'cold', layers: 3, vocab: 163 });
    const { spec } = loadModelFolder(folders.llama_gqa_tied);
    const check = async (graph: BoundGraph): Promise<v.InferOutput<typeof refusals>> => {
      const wire = wireGraph(graph);
      await fresh.connection.sendTensors(wire);
      return fresh.connection.ask('check', refusals, { parameters: { model: 'llama_gqa_tied' }, body: { graph: wire.document } });
    };
    expect(await check(oneHead(spec, 0, 0, 1))).toEqual({ refusals: [] });
    expect((await check(oneHead(spec, 99, 0, 1))).refusals[0]).toMatchObject({ code: 'graph/refused' });
    expect((await check(oneHead({ ...spec, layers: 4 }, 0, 0, 1))).refusals[0]).toMatchObject({ code: 'graph/model-mismatch' });
    expect(fresh.runner.pool.engines).toBe(0);
    await fresh.close();
  });

  it('gives the directions towards a word that the weights give here', async () => {
    const { spec, source } = loadModelFolder(folders.llama_gqa_tied);
    const here = await wordDirections(spec, source, [7, 9], new AbortController().signal);
    expect(await remoteWordDirections(runner.connection, 'llama_gqa_tied', spec, [7, 9])).toStrictEqual(here);
    expect(await codeOf(remoteWordDirections(runner.connection, 'llama_gqa_tied', spec, [spec.vocab]))).toBe('request/invalid');
    expect(await codeOf(remoteWordDirections(runner.connection, 'llama_gqa_tied', spec, []))).toBe('request/invalid');
  });

  it('publishes every endpoint of the table', async () => {
    const { paths } = (await (await fetch(`${runner.address}/openapi.json`)).json()) as { paths: Record<string, Record<string, unknown>> };
    for (const { method, path } of Object.values(endpoints)) {
      expect(paths[path.replace(/:(\w+)/g, '{$1}')]?.[method.toLowerCase()], path).toBeDefined();
    }
  });

  it('has numbers for Prometheus', async () => {
    const text = await (await fetch(`${runner.address}/metrics`)).text();
    for (const name of ['tiller_engines', 'tiller_generated_tokens_total', 'tiller_requests_total', 'tiller_request_seconds_bucket'])
      expect(text).toContain(name);
  });

  it('ends a run whose client goes away', async () => {
    const engine = await runner.engine('model');
    const run = engine.generate({ prompt: [1], maxTokens: 500, stop: [] });
    await run.next();
    await run.return({} as never);
    while (runner.runner.pool.busy().running > 0) await new Promise((resolve) => setTimeout(resolve, 10));
    const metrics = await (await fetch(`${runner.address}/metrics`)).text();
    const tokens = Number(/tiller_generated_tokens_total\{model="model"\} (\d+)/.exec(metrics)?.[1]);
    expect(tokens).toBeLessThan(400);
  });

  it('refuses what is over its limits, with the numbers', async () => {
    const small = await openTestRunner({
      models: [folders.llama_gqa_tied],
      limits: { lanes: 2, tokens: 5, sequenceTokens: 20, answer: 1000, tensor: 64, body: 4096 },
    });
    const engine = await small.engine('llama_gqa_tied');
    const ids = [1, 2, 3];
    expect(engine.model.limits.maxLanes).toBe(2);
    expect(await codeOf(generated(engine, { prompt: ids, maxTokens: 6, stop: [] }))).toBe('runner/too-large');
    expect(await codeOf(engine.score({ sequences: Array.from({ length: 10 }, () => ({ ids })) }))).toBe('runner/too-large');
    expect(await codeOf(engine.score({ sequences: [{ ids }], logits: true }))).toBe('runner/too-large');
    expect(await codeOf(engine.capture({ sequences: [{ ids }], points: [{ point: 'z' }] }))).toBe('runner/too-large');
    expect((await engine.capture({ sequences: [{ ids }], points: [{ point: 'z', layers: [1] }] })).arrays).toHaveLength(1);
    const tensors = new Map([['a'.repeat(64), new Float32Array(100)]]);
    expect(await codeOf(small.connection.sendTensors({ tensors }))).toBe('runner/too-large');
    const body = { graph: { text: 'x'.repeat(10_000) } };
    expect(await codeOf(small.connection.ask('check', refusals, { parameters: { model: 'llama_gqa_tied' }, body }))).toBe(
      'runner/too-large',
    );
    expect(small.runner.answers.taken).toBe(0);
    await small.close();
  });
});

describe('who may use a runner', () => {
  const folder = golden('llama_gqa_tied');
  let open: TestRunner;
  let closed: TestRunner;
  beforeAll(async () => {
    open = await openTestRunner({ models: [folder], config: { hostNames: ['gpu.example'] } });
    closed = await openTestRunner({ models: [folder], config: { token } });
  });
  afterAll(async () => {
    await open.close();
    await closed.close();
  });

  /** Status and error code of a request with headers that fetch would not send. */
  const ask = (
    runner: TestRunner,
    path: string,
    headers: Record<string, string>,
    method = 'GET',
  ): Promise<{ status: number; code: string; headers: Record<string, unknown> }> =>
    new Promise((resolve, reject) => {
      const sent = httpRequest(runner.address + path, { headers, method }, (response) => {
        let text = '';
        response.on('data', (chunk: Buffer) => (text += chunk.toString()));
        response.on('end', () => {
          const code = text.startsWith('{"error"') ? (JSON.parse(text) as { error: { code: string } }).error.code : 'none';
          resolve({ status: response.statusCode ?? 0, code, headers: response.headers });
        });
      });
      sent.on('error', reject);
      sent.end();
    });
  const path = '/v1/capabilities';

  it('answers to numbers and names of this machine, not to a domain that was made to mean it', async () => {
    for (const host of ['localhost:1', '127.0.0.1', '[::1]:80', '192.168.0.7', 'gpu.example:4600'])
      expect((await ask(open, path, { host })).status, host).toBe(200);
    for (const host of ['evil.example', 'localhost.evil.example', '127.0.0.1.evil.example:4600'])
      expect(await ask(open, path, { host }), host).toMatchObject({ status: 403, code: 'runner/host' });
    expect(await ask(open, '/healthz', { host: 'evil.example' })).toMatchObject({ code: 'runner/host' });
  });

  it('works for pages of known origins only', async () => {
    const known = await ask(open, path, { origin: 'http://localhost:4173' });
    expect(known).toMatchObject({ status: 200, headers: { 'access-control-allow-origin': 'http://localhost:4173', vary: 'Origin' } });
    for (const origin of ['https://evil.example', 'null', 'http://localhost:9999', 'http://localhost:4173.evil.example'])
      expect(await ask(open, path, { origin }), origin).toMatchObject({ status: 403, code: 'runner/origin' });
    expect((await ask(open, path, { origin: 'https://evil.example' })).headers['access-control-allow-origin']).toBeUndefined();
  });

  it('answers what a browser asks before a request, private networks included', async () => {
    const asked = { 'access-control-request-method': 'PUT', 'access-control-request-private-network': 'true' };
    const yes = await ask(closed, '/v1/tensors/x', { origin: 'http://localhost:4173', ...asked }, 'OPTIONS');
    expect(yes).toMatchObject({
      status: 204,
      headers: { 'access-control-allow-private-network': 'true', 'access-control-allow-origin': 'http://localhost:4173' },
    });
    expect(yes.headers['access-control-allow-headers']).toContain('authorization');
    const no = await ask(closed, '/v1/tensors/x', { origin: 'https://evil.example', ...asked }, 'OPTIONS');
    expect(no).toMatchObject({ status: 403, code: 'runner/origin' });
    expect(no.headers['access-control-allow-private-network']).toBeUndefined();
  });

  it('wants its token for everything but health and the description of itself', async () => {
    for (const row of Object.values(endpoints)) {
      if (row.answer.kind === 'socket') continue;
      const answer = await ask(closed, row.path.replace(/:\w+/g, 'x'), {}, row.method);
      if ('open' in row) expect(answer.status, row.path).toBe(200);
      else expect(answer, row.path).toMatchObject({ status: 401, code: 'runner/token' });
    }
    expect(await ask(closed, '/nothing/here', {})).toMatchObject({ status: 401 });
    for (const authorization of ['Bearer wrong', 'Bearer ', `Basic ${token}`, `Bearer ${token}x`, token])
      expect(await ask(closed, path, { authorization }), authorization).toMatchObject({ code: 'runner/token' });
    expect((await ask(closed, path, { authorization: `Bearer ${token}` })).status).toBe(200);
    expect((await closed.connection.capabilities()).models).toHaveLength(1);
    expect(await codeOf(createRemoteEngine({ ...nodeNetwork, address: closed.address, token: null, model: 'llama_gqa_tied' }))).toBe(
      'runner/token',
    );
  });

  /** Status with which a WebSocket is refused, or 101. */
  const socketStatus = (runner: TestRunner, protocols: string[], headers: Record<string, string> = {}): Promise<number> =>
    new Promise((resolve) => {
      const socket = new WebSocket(`${runner.address.replace('http', 'ws')}/v1/models/llama_gqa_tied/generate`, protocols, { headers });
      socket.on('open', () => {
        expect(socket.protocol).toBe('tiller.1');
        socket.terminate();
        resolve(101);
      });
      socket.on('unexpected-response', (_request, response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      });
      socket.on('error', () => undefined);
    });

  it('opens no socket for a page elsewhere, another name or no token', async () => {
    expect(await socketStatus(open, ['tiller.1'])).toBe(101);
    expect(await socketStatus(open, ['tiller.1'], { origin: 'https://evil.example' })).toBe(403);
    expect(await socketStatus(open, ['tiller.1'], { host: 'evil.example' })).toBe(403);
    expect(await socketStatus(closed, ['tiller.1'])).toBe(401);
    expect(await socketStatus(closed, ['tiller.1', 'tiller.token.wrong'])).toBe(401);
    expect(await socketStatus(closed, ['tiller.1', `tiller.token.${token}`])).toBe(101);
    const engine = await closed.engine('llama_gqa_tied');
    expect((await generated(engine, { prompt: [1], maxTokens: 2, stop: [] })).tokens[0]).toHaveLength(2);
  });

  it('counts the requests of a client', async () => {
    const slow = await openTestRunner({ models: [folder], limits: { rate: 5 } });
    const codes = [];
    for (let i = 0; i < 7; i++) codes.push((await ask(slow, path, {})).code);
    expect(codes).toEqual(['none', 'none', 'none', 'none', 'none', 'runner/busy', 'runner/busy']);
    await slow.close();
  });

  it('logs neither token nor prompts unless asked', async () => {
    for (const log of ['requests', 'prompts'] as const) {
      const lines: string[] = [];
      const runner = await openTestRunner({ models: [folder], config: { token, log }, logTo: { write: (line) => void lines.push(line) } });
      const engine = await runner.engine('llama_gqa_tied');
      await generated(engine, { prompt: [61, 62, 63], maxTokens: 2, stop: [] });
      await engine.score({ sequences: [{ ids: [71, 72, 73] }] });
      await runner.close();
      const text = lines.join('');
      expect(text).toContain('/v1/models/:model/score');
      expect(text).not.toContain(token);
      expect(text.includes('61,62,63') && text.includes('71,72,73')).toBe(log === 'prompts');
    }
  });
});
