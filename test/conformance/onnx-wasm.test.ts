import * as ort from 'onnxruntime-web/wasm';
import { describe, expect, it } from 'vitest';
import { TillerError } from '../../src/errors/error.ts';
import { DEFAULT_CONTEXT, WASM_MEMORY, wasmNeeded } from '../../src/model/cpu-memory.ts';
import { knownModel, knownShape } from '../../src/model/known.ts';
import { tensorLayout } from '../../src/model/layout.ts';
import { onnxWasmEngine } from './engines.ts';
import { loadGoldenModel } from './golden.ts';
import { describeGoldens } from './golden-suite.ts';
import { describeInvariants } from './invariant-suite.ts';
import { describeTrained } from './trained-suite.ts';

const engine = onnxWasmEngine(ort);

describe(engine.name, () => {
  describeGoldens(engine);
  describeInvariants(engine);
  describeTrained(engine);

  it('lets other things happen while it computes, so that Stop is heard', async () => {
    const { spec, source } = loadGoldenModel('llama_gqa_tied');
    const opened = await engine.open(spec, source);
    const ids = (first: number): number[] => Array.from({ length: 48 }, (_, i) => (first * 7 + i * 5) % spec.vocab);
    const sequences = Array.from({ length: 400 }, (_, i) => ({ ids: ids(i) }));
    const abort = new AbortController();
    setTimeout(() => abort.abort(), 0);
    await expect(opened.score({ sequences, signal: abort.signal })).rejects.toMatchObject({ code: 'request/aborted' });
    const { work } = await opened.score({ sequences: sequences.slice(0, 2) });
    expect(work.positions).toBe(96);
    await opened.dispose();
  });

  it('refuses with numbers, before it reads anything, what a page cannot hold', async () => {
    const known = knownModel('llama-3.2-1b');
    if (!known) throw new Error('no such model');
    const { spec } = knownShape(known);
    const tensors = new Map(tensorLayout(spec).map(({ name, shape }) => [name, { name, shape, dtype: 'BF16' as const }]));
    const source = { tensors, identity: 'nothing', read: () => Promise.reject(new Error('it was read')) };
    const { total } = wasmNeeded(spec, { quantization: 'none', stored: 'BF16', context: DEFAULT_CONTEXT });
    expect(total).toBeGreaterThan(WASM_MEMORY);
    const refusal = await engine.open(spec, source).catch((cause: unknown) => cause);
    expect(refusal).toBeInstanceOf(TillerError);
    expect(refusal).toMatchObject({ code: 'device/wasm-memory' });
    expect((refusal as TillerError).message).toContain(`${(total / 2 ** 30).toFixed(2)} GiB`);
  });
});
