import { describe, expect, it } from 'vitest';
import type { Engine, GenerateRequest, GenerateSummary, ModelInfo, ScoreRequest, Step } from '../engine/engine.ts';
import { TillerError } from '../errors/error.ts';
import type { Tokenizer } from '../model/tokenizer.ts';
import { EngineClient } from './engine-client.ts';
import { EngineHost } from './engine-host.ts';
import type { LoadRequest, RunRequest, StreamMessage } from './engine-protocol.ts';
import { embedded } from './experiment.ts';
import type { HostEnvironment, OpenModel } from './model-access.ts';
import { expose } from 'comlink';

/** Letters as tokens: enough of a tokenizer for the host. */
const letters = {
  vocabSize: 128,
  hasChatTemplate: false,
  encode: (text: string) => [...text].map((letter) => letter.charCodeAt(0)),
  decode: (ids: readonly number[]) => String.fromCharCode(...ids),
  piece: (id: number) => String.fromCharCode(id),
  isControl: () => false,
  decodeStream: () => ({ push: (id: number) => String.fromCharCode(id), flush: () => '' }),
  chat: () => ({ ids: [], roles: [] }),
} satisfies Tokenizer;

const summary: GenerateSummary = {
  edits: [{}, { a: 3 }],
  unmatched: [],
  stopped: 'length',
  timing: { promptTokens: 2, reusedTokens: 0, prefillMs: 1, decodeMs: 1, decodedTokens: 1, dispatches: 0, submits: 0 },
};

/** An engine in memory: counts up from `a`, and says when two requests are in it at once. */
class CountingEngine implements Engine {
  model = { layers: 1, heads: 1, headDim: 1, identity: 'memory' } as ModelInfo;
  inside = 0;
  mostInside = 0;
  disposed = 0;
  scored: ScoreRequest[] = [];
  failure: TillerError | null = null;

  async *generate(request: GenerateRequest): AsyncGenerator<Step, GenerateSummary, void> {
    this.inside += 1;
    this.mostInside = Math.max(this.mostInside, this.inside);
    try {
      for (let index = 0; index < request.maxTokens; index += 1) {
        if (this.failure) throw this.failure;
        if (request.signal?.aborted) throw new TillerError('request/aborted');
        await Promise.resolve();
        yield { index, lanes: (request.lanes ?? []).map((_, lane) => ({ token: 97 + index + lane, logprob: -index })) };
      }
      return summary;
    } finally {
      this.inside -= 1;
    }
  }

  async score(request: ScoreRequest) {
    this.scored.push(request);
    const [{ ids }] = request.sequences;
    const top = ids.map((_, t) => [{ id: 97 + (t % 26), logprob: -t }]);
    return {
      sequences: [
        {
          from: 1,
          logprobs: new Float32Array(0),
          lanes: [],
          edited: null,
          kl: Float32Array.from(ids, (_, t) => t),
          top: { unedited: top, edited: top },
          logits: null,
          edits: {},
        },
      ],
      unmatched: [],
      work: { positions: ids.length, computed: ids.length },
    };
  }

  capture = (): Promise<never> => Promise.reject(new Error('not asked for here'));
  check = () => [];
  dispose(): Promise<void> {
    this.disposed += 1;
    return Promise.resolve();
  }
}

function connect(environment: Partial<HostEnvironment> = {}) {
  const engine = new CountingEngine();
  const model = { label: 'letters', licence: null, files: { tokenizer: letters, notes: [] } } as unknown as OpenModel;
  const host = new EngineHost({
    now: () => 0,
    storage: null,
    results: null,
    device: () => Promise.resolve({ adapter: null, maxBuffer: null, problem: null }),
    open: (_request, onProgress) => {
      onProgress({ stage: 'download', done: 1, total: 2, unit: 'bytes' });
      return Promise.resolve(model);
    },
    engine: () => Promise.resolve({ engine, reason: { kind: 'asked' } }),
    ...environment,
  });
  const { port1, port2 } = new MessageChannel();
  expose(host, port1);
  const client = new EngineClient(port2, () => {
    port1.close();
    port2.close();
  });
  return { engine, client };
}

const load: LoadRequest = { model: embedded, page: '', hub: '', engine: 'auto' };
const request = (maxTokens: number): RunRequest => ({
  input: { mode: 'text', prompt: 'hi', system: '' },
  graph: null,
  factors: [0, 1],
  maxTokens,
  sampling: {},
});
const never = new AbortController().signal;

describe('the engine behind the worker', () => {
  it('reports loading, then streams the prompt and every step before the summary', async () => {
    const { client, engine } = connect();
    const progress: unknown[] = [];
    const loaded = await client.load(load, (message) => progress.push(message));
    expect(loaded.label).toBe('letters');
    expect(progress).toEqual([{ stage: 'download', done: 1, total: 2, unit: 'bytes' }]);
    const messages: StreamMessage[] = [];
    expect(await client.generate(request(3), (message) => messages.push(message), never)).toEqual(summary);
    expect(messages.map((message) => message.type)).toEqual(['prompt', 'step', 'step', 'step']);
    expect(messages[0]).toEqual({
      type: 'prompt',
      tokens: [
        { id: 104, text: 'h', role: null },
        { id: 105, text: 'i', role: null },
      ],
    });
    expect(messages[3]).toEqual({
      type: 'step',
      index: 2,
      lanes: [
        { id: 99, text: 'c', logprob: -2 },
        { id: 100, text: 'd', logprob: -2 },
      ],
    });
    await client.load(load, () => undefined);
    expect(engine.disposed).toBe(1);
    client.dispose();
  });

  it('stops a run that would go on for ever, and never runs two at once', async () => {
    const { client, engine } = connect();
    await client.load(load, () => undefined);
    const abort = new AbortController();
    let steps = 0;
    const first = client.generate(
      request(1e9),
      (message) => {
        if (message.type === 'step' && (steps += 1) === 5) abort.abort();
      },
      abort.signal,
    );
    const second = client.generate(request(2), () => undefined, never);
    await expect(first).rejects.toMatchObject({ code: 'request/aborted' });
    await expect(second).resolves.toEqual(summary);
    expect(steps).toBeLessThan(200);
    expect(engine.mostInside).toBe(1);
    client.dispose();
  });

  it('carries errors with code and details over the worker boundary', async () => {
    const { client, engine } = connect();
    await expect(client.generate(request(1), () => undefined, never)).rejects.toMatchObject({ code: 'request/invalid' });
    await client.load(load, () => undefined);
    engine.failure = new TillerError('device/lost', { reason: 'unplugged' });
    await expect(client.generate(request(1), () => undefined, never)).rejects.toMatchObject({
      code: 'device/lost',
      message: 'The GPU device was lost: unplugged',
    });
    await expect(client.storage()).rejects.toMatchObject({ code: 'store/unavailable' });
    client.dispose();
  });

  it('is busy until it has answered, and answers nothing once it is ended', async () => {
    const { client } = connect();
    expect(client.busy).toBe(false);
    const loading = client.load(load, () => undefined);
    expect(client.busy).toBe(true);
    await loading;
    expect(client.busy).toBe(false);
    const running = client.generate(request(1e9), () => undefined, never);
    client.dispose();
    await expect(running).rejects.toMatchObject({ code: 'request/aborted' });
    expect(client.busy).toBe(false);
  });

  it('wraps what is no error of the catalogue', async () => {
    const { client } = connect({ open: () => Promise.reject(new RangeError('odd')) });
    await expect(client.load(load, () => undefined)).rejects.toMatchObject({
      code: 'internal',
      message: expect.stringContaining('odd') as string,
    });
    client.dispose();
  });

  it('reads a token’s shift at the position before it, with the lane’s own factor', async () => {
    const { client, engine } = connect();
    await client.load(load, () => undefined);
    const prompt = await client.encode({ mode: 'text', prompt: 'hey', system: '' });
    const graph = { document: { tiller: 1 as const, model: engine.model, nodes: [] }, vectors: {} };
    const shifts = await client.shifts(
      {
        prompt,
        graph,
        lanes: [
          { ids: [97, 98], factor: 1 },
          { ids: [], factor: 2 },
          { ids: [97], factor: 3 },
        ],
      },
      never,
    );
    expect(shifts.map((lane) => lane.map((shift) => shift.kl))).toEqual([[2, 3], [], [2]]);
    expect(shifts[0][1].after).toEqual([{ text: 'd', logprob: -3 }]);
    expect(engine.scored.map((score) => [score.factor, score.sequences[0].promptLength, score.sequences[0].ids.length])).toEqual([
      [1, 3, 5],
      [3, 3, 4],
    ]);
    client.dispose();
  });
});
