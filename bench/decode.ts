import type { Engine, GenerateRequest, GenerateSummary } from '../src/engine/engine.ts';
import { weightFormats } from '../src/engine/webgpu/model-weights.ts';
import { matrixBytes } from '../src/engine/webgpu/weights.ts';
import { number, promptIds, show, type Bench, type Measurement } from './measurement.ts';
import { interleave, perSecond, ratios, spread, type Spread } from './spread.ts';

export interface DecodeResult {
  readonly promptTokens: number;
  readonly tokens: number;
  readonly lanes: readonly {
    readonly lanes: number;
    /** Tokens a second of all lanes together. */
    readonly tokensPerSecond: Spread;
    /** Milliseconds a step, which gives every lane a token. */
    readonly step: Spread;
    /** Time of a step against one lane, side by side. */
    readonly cost: Spread;
    readonly dispatches: number;
    readonly submits: number;
  }[];
  /** Bytes of weights that a step reads, however many lanes; and of keys and values for each lane, halfway through. */
  readonly weightBytes: number;
  readonly cacheBytes: number;
  readonly dispatchesPerLayer: number;
}

/** Runs a request to its end. */
export async function finish(engine: Engine, request: GenerateRequest): Promise<GenerateSummary> {
  const run = engine.generate(request);
  for (;;) {
    const next = await run.next();
    if (next.done) return next.value;
  }
}

/** Lengths that fit into the model's context; on a slow device fewer tokens, so that a run takes about a second. */
export async function lengths(bench: Bench, engine: Engine): Promise<{ prompt: number; tokens: number }> {
  const room = engine.model.limits.maxContext;
  const most = Math.min(bench.quick ? 16 : 64, Math.floor(room / 4));
  const prompt = Math.max(2, Math.min(bench.quick ? 32 : 128, room - most - 1));
  const ids = promptIds(engine.model.vocab, prompt, 0, bench.files.spec.bosId);
  await finish(engine, { prompt: ids, maxTokens: 2, stop: [] });
  const { decodeMs, decodedTokens } = (await finish(engine, { prompt: ids, maxTokens: 9, stop: [] })).timing;
  const wanted = Math.round(1000 / (decodeMs / decodedTokens));
  return { prompt, tokens: Math.max(8, Math.min(most, wanted)) + 1 };
}

/** Bytes of weights that one step of decoding reads: everything but the embedding, of which it reads a row, unless that is the head too. */
export function bytesPerStep({ files, load }: Bench): number {
  const { spec, source } = files;
  const { bytes, tables } = weightFormats(spec, source, { quantization: load.quantization ?? 'none', halves: load.precision === 'f16' });
  const [format] = tables;
  return bytes - (spec.tiedHead ? 0 : matrixBytes(format, spec.vocab, spec.hidden));
}

export const decode: Measurement<DecodeResult> = {
  name: 'decode',
  title: 'Decoding by lanes',
  of: 'model',
  columns: ['lanes', 'tokens/s', 'ms a step', 'time of a step against 1 lane', 'dispatches a step', 'submits a step'],

  async run(bench) {
    const engine = await bench.engine();
    const { model } = engine;
    const { prompt, tokens } = await lengths(bench, engine);
    const ids = promptIds(model.vocab, prompt, 0, bench.files.spec.bosId);
    const counts = [1, 2, 4, 8];
    const steps = new Map<number, number>();
    const request = (lanes: number, maxTokens: number): GenerateRequest => ({
      prompt: ids,
      lanes: Array.from({ length: lanes }, () => ({})),
      maxTokens,
      stop: [],
    });
    // One step more, everything else equal: the difference is what a step takes of the recorder.
    const counted = async (lanes: number): Promise<{ dispatches: number; submits: number }> => {
      const short = (await finish(engine, request(lanes, 2))).timing;
      const long = (await finish(engine, request(lanes, 4))).timing;
      return { dispatches: (long.dispatches - short.dispatches) / 2, submits: (long.submits - short.submits) / 2 };
    };
    const arms = Object.fromEntries(
      counts.map((lanes) => [
        String(lanes),
        async () => {
          const { timing } = await finish(engine, request(lanes, tokens));
          steps.set(lanes, timing.decodedTokens / lanes);
          return timing.decodeMs / (timing.decodedTokens / lanes);
        },
      ]),
    );
    for (const lanes of counts) await finish(engine, request(lanes, 2));
    const samples = await interleave(arms, bench.rounds);
    const lanes: DecodeResult['lanes'][number][] = [];
    for (const count of counts) {
      const times = samples[String(count)];
      lanes.push({
        lanes: count,
        tokensPerSecond: perSecond(times, count),
        step: spread(times),
        cost: ratios(times, samples['1']),
        ...(await counted(count)),
      });
    }
    // What is not of a layer: embedding, first norm, head, sampling.
    const parts = lanes[0].dispatches - 4;
    return {
      promptTokens: prompt,
      tokens,
      lanes,
      weightBytes: bytesPerStep(bench),
      cacheBytes: model.memory.cachePerToken * (prompt + tokens / 2),
      dispatchesPerLayer: parts / model.layers,
    };
  },

  rows: (result) =>
    result.lanes.map((row) => [
      String(row.lanes),
      show(row.tokensPerSecond),
      show(row.step),
      show(row.cost, 2),
      number(row.dispatches),
      number(row.submits),
    ]),
};
