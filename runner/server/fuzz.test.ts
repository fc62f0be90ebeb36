import fc from 'fast-check';
import { connect, type Socket } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import WebSocket from 'ws';
import { endpoints, type Endpoint } from '../../src/engine/remote/endpoints.ts';
import type { Engine } from '../../src/engine/engine.ts';
import { generated } from '../../test/conformance/compare.ts';
import { golden } from '../../test/cli.ts';
import { openTestRunner, type TestRunner } from '../../test/runner.ts';

setFlagsFromString('--expose_gc');
const collect = runInNewContext('gc') as () => void;
const MEBI = 2 ** 20;
const model = 'llama_gqa_tied';

/** Whatever comes in, a runner still answers, with the same engines, and holds no more memory than before. */
describe('a runner that is mistreated', () => {
  let runner: TestRunner;
  let engine: Engine;
  let want: readonly (readonly number[])[];
  let port = 0;
  const run = async (): Promise<readonly (readonly number[])[]> =>
    (await generated(engine, { prompt: [1, 2, 3], maxTokens: 5, stop: [] })).tokens;
  const base = (): string => `${runner.address}/v1/models/${model}`;
  const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 10));
  const memory = async (): Promise<{ heap: number; resident: number }> => {
    for (let i = 0; i < 4; i++) {
      collect();
      await pause();
    }
    const { heapUsed, external, rss } = process.memoryUsage();
    return { heap: heapUsed + external, resident: rss };
  };
  const raw = (text: string): Promise<Socket> =>
    new Promise((resolve, reject) => {
      const socket = connect(port, '127.0.0.1', () => {
        socket.write(text);
        resolve(socket);
      });
      socket.on('error', reject);
    });
  let before: Awaited<ReturnType<typeof memory>>;

  beforeAll(async () => {
    runner = await openTestRunner({ models: [golden(model)], limits: { clientTimeout: 2000 } });
    port = Number(new URL(runner.address).port);
    engine = await runner.engine(model);
    want = await run();
    // What is made on first use is there before memory is looked at.
    for (let i = 0; i < 20; i++)
      await fetch(`${base()}/score`, { method: 'POST', body: '{}', headers: { 'content-type': 'application/json' } }).then((r) => r.text());
    before = await memory();
  });
  afterAll(() => runner.close());

  it('refuses random JSON with an error of the catalogue', async () => {
    const posts = (Object.values(endpoints) as readonly Endpoint[]).filter(({ body }) => body.kind === 'json');
    const nearly = fc.record(
      {
        sequences: fc.array(fc.record({ ids: fc.array(fc.oneof(fc.integer(), fc.double())), promptLength: fc.integer() })),
        points: fc.array(fc.record({ point: fc.constantFrom('z', 'logits', 'nowhere'), layers: fc.array(fc.integer()) })),
        at: fc.oneof(
          fc.constantFrom('all', 'never'),
          fc.json().map((text) => JSON.parse(text) as unknown),
        ),
        graph: fc.record(
          { tiller: fc.constantFrom(1, 2), model: fc.anything(), nodes: fc.array(fc.object()), vectors: fc.object() },
          { requiredKeys: [] },
        ),
        lanes: fc.array(fc.record({ strengths: fc.dictionary(fc.string(), fc.double()) })),
        top: fc.integer(),
      },
      { requiredKeys: [] },
    );
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...posts),
        fc.oneof(
          fc.json(),
          fc.string(),
          nearly.map((value) => JSON.stringify(value)),
        ),
        async ({ path }, body) => {
          const answer = await fetch(runner.address + path.replace(':model', model), {
            method: 'POST',
            body,
            headers: { 'content-type': 'application/json' },
          });
          const text = await answer.text();
          expect([200, 400, 404, 413], text).toContain(answer.status);
          if (answer.status !== 200) expect(JSON.parse(text)).toHaveProperty('error.code');
          expect(text).not.toContain('"internal"');
        },
      ),
      { numRuns: 300 },
    );
  });

  it.each([
    ['deep', '['.repeat(100_000)],
    ['deep and closed', `{"graph":${'{"a":'.repeat(5000)}1${'}'.repeat(5000)}}`],
    ['a prototype', '{"__proto__":{"x":1},"sequences":[]}'],
    ['twice the same key', '{"sequences":[],"sequences":[]}'],
    ['no UTF-8', Buffer.from([0x22, 0xff, 0xfe, 0x22])],
    ['too long', ' '.repeat(9 * MEBI)],
    ['nothing', ''],
  ])('refuses a body that is %s', async (_, body) => {
    const answer = await fetch(`${base()}/score`, { method: 'POST', body, headers: { 'content-type': 'application/json' } });
    expect([400, 413]).toContain(answer.status);
    expect(await answer.json()).toHaveProperty('error.fix');
  });

  it('refuses wrong tensors and paths that lead out', async () => {
    const put = async (path: string, body: BodyInit, type = 'application/octet-stream'): Promise<number> =>
      (await fetch(`${runner.address}/v1/tensors/${path}`, { method: 'PUT', body, headers: { 'content-type': type } })).status;
    const hash = 'c'.repeat(64);
    expect(await put(hash, new Uint8Array(8))).toBe(404);
    expect(await put(hash, new Uint8Array(3))).toBe(404);
    expect(await put(hash, new Uint8Array(0))).toBe(404);
    expect(await put('..%2f..%2fetc', new Uint8Array(4))).toBe(400);
    expect(await put('%00', new Uint8Array(4))).toBe(400);
    expect(await put(hash, 'text', 'text/plain')).toBe(400);
    for (const name of ['..', '%2e%2e', '..%2f..%2fetc%2fpasswd', '%00', 'a'.repeat(300), '__proto__', 'constructor'])
      expect([400, 404, 414], name).toContain((await fetch(`${runner.address}/v1/models/${name}/tokenizer`)).status);
    expect(runner.runner.tensors.bytes).toBe(0);
  });

  it('outlives sockets that talk nonsense', async () => {
    const messages = [
      '',
      'x',
      '{}',
      '{"type":"start"}',
      '{"type":"start","request":{"prompt":[1e99],"maxTokens":1}}',
      '{"type":"stop"}',
      Buffer.from([0, 1]),
      'x'.repeat(9 * MEBI),
    ];
    for (const message of messages) {
      const socket = new WebSocket(`${base().replace('http', 'ws')}/generate`, ['tiller.1']);
      socket.on('error', () => undefined);
      await new Promise((resolve) => {
        socket.on('open', () => socket.send(message));
        socket.on('message', () => socket.close());
        socket.on('close', resolve);
        if (message === '{"type":"stop"}') socket.on('open', () => socket.close());
      });
    }
    expect(await run()).toEqual(want);
  });

  it('outlives connections that are cut anywhere', async () => {
    const body = JSON.stringify({ sequences: Array.from({ length: 8 }, () => ({ ids: [1, 2, 3, 4, 5] })), logits: true });
    const text = `POST /v1/models/${model}/score HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
    const upgrade = `GET /v1/models/${model}/generate HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n\x81\x05`;
    for (const whole of [text, upgrade, 'GET / HTTP/1.1\r\n\r\n', '\x16\x03\x01 nonsense\r\n\r\n']) {
      for (let cut = 1; cut <= whole.length; cut += Math.ceil(whole.length / 12)) (await raw(whole.slice(0, cut))).destroy();
      (await raw(whole)).destroy();
    }
    expect(await run()).toEqual(want);
  });

  it('lets readers and writers go that stand still', async () => {
    const ids = Array.from({ length: 50 }, (_, i) => i % 100);
    const body = JSON.stringify({ sequences: Array.from({ length: 400 }, () => ({ ids })), logits: true });
    const head = `POST /v1/models/${model}/score HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`;
    const reader = await raw(head + body);
    reader.pause();
    const writers = await Promise.all(Array.from({ length: 20 }, () => raw(head + body.slice(0, 10))));
    expect(await run()).toEqual(want);
    while (runner.runner.answers.taken > 0) await pause();
    writers.forEach((socket) => socket.destroy());
    reader.destroy();
  });

  it('serves 200 at once, or says that it is busy', async () => {
    const results = await Promise.all(
      Array.from({ length: 200 }, async (_, i) => {
        if (i % 2 === 0) return run().then((tokens) => JSON.stringify(tokens) === JSON.stringify(want) || 'other tokens', (error: { code: string }) => error.code); // prettier-ignore
        return engine.score({ sequences: [{ ids: [1, 2, 3] }] }).then(() => true, (error: { code: string }) => error.code); // prettier-ignore
      }),
    );
    expect(new Set(results.filter((result) => result !== true && result !== 'runner/busy'))).toEqual(new Set());
    expect(results.filter((result) => result === true).length).toBeGreaterThan(20);
    expect(await run()).toEqual(want);
  });

  it('is afterwards what it was', async () => {
    while (runner.runner.pool.busy().running + runner.runner.pool.busy().queued > 0) await pause();
    expect(await run()).toEqual(want);
    expect(runner.runner.pool.engines).toBe(1);
    expect(runner.runner.pool.restarts).toBe(0);
    expect(runner.runner.answers.taken).toBe(0);
    const after = await memory();
    expect((after.heap - before.heap) / MEBI, 'heap and arrays, in MiB').toBeLessThan(48);
    expect((after.resident - before.resident) / MEBI, 'resident, in MiB').toBeLessThan(400);
    console.log(
      `memory after, in MiB: heap and arrays ${((after.heap - before.heap) / MEBI).toFixed(1)}, resident ${((after.resident - before.resident) / MEBI).toFixed(1)}`,
    );
  });
});
