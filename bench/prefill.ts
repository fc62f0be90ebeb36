import { finish } from './decode.ts';
import { promptIds, show, type Measurement } from './measurement.ts';
import { interleave, perSecond, spread, type Spread } from './spread.ts';

export interface PrefillResult {
  readonly prompts: readonly {
    readonly tokens: number;
    readonly tokensPerSecond: Spread;
    /** Milliseconds from the request to its first token, nothing of the prompt being in the cache. */
    readonly firstToken: Spread;
    /** The same prompt again: all but its last token come from the cache. */
    readonly again: Spread;
  }[];
}

export const prefill: Measurement<PrefillResult> = {
  name: 'prefill',
  title: 'Prompts and the first token',
  of: 'model',
  columns: ['prompt tokens', 'tokens/s', 'first token, ms', 'first token of the same prompt again, ms'],

  async run(bench) {
    const engine = await bench.engine();
    const { vocab, limits } = engine.model;
    const wanted = bench.quick ? [16, 64] : [16, 128, 512];
    const sizes = [...new Set(wanted.map((size) => Math.min(size, limits.maxContext - 1)))];
    const first = async (size: number, round: number): Promise<number> => {
      const run = engine.generate({ prompt: promptIds(vocab, size, 1000 * round + size, null), maxTokens: 1, stop: [] });
      const start = performance.now();
      await run.next();
      const elapsed = performance.now() - start;
      await run.next();
      return elapsed;
    };
    // Room for the longest prompt once, so that no round pays for growing.
    await finish(engine, { prompt: promptIds(vocab, Math.max(...sizes), 1e6, null), maxTokens: 1, stop: [] });
    const arms = Object.fromEntries(
      sizes.map((size) => [String(size), async (round: number) => ({ cold: await first(size, round), again: await first(size, round) })]),
    );
    const samples = await interleave(arms, bench.rounds);
    return {
      prompts: sizes.map((size) => {
        const cold = samples[String(size)].map((sample) => sample.cold);
        const again = samples[String(size)].map((sample) => sample.again);
        return { tokens: size, tokensPerSecond: perSecond(cold, size), firstToken: spread(cold), again: spread(again) };
      }),
    };
  },

  rows: ({ prompts }) => prompts.map((row) => [String(row.tokens), show(row.tokensPerSecond), show(row.firstToken), show(row.again)]),
};
