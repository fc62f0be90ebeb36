import { describe, expect, it } from 'vitest';
import { TillerError } from '../errors/error.ts';
import { chooseEngine, engineChoices, engineName, engineWords, reasonText, reasonWords, type EngineReason } from './engine-choice.ts';

const problem = new TillerError('device/no-api').toJSON();
const none = { adapter: null, maxBuffer: null, problem };
const device = (kind: 'hardware' | 'software') => ({ adapter: { name: 'some adapter', kind, features: [] }, maxBuffer: 1, problem: null });

describe('which engine runs a model', () => {
  it('is WebGPU on a real GPU, and the CPU where there is none or only a software one', () => {
    expect(chooseEngine('auto', device('hardware'))).toEqual({ engine: 'webgpu', reason: { kind: 'gpu' } });
    expect(chooseEngine('auto', device('software'))).toEqual({ engine: 'onnx', reason: { kind: 'software', adapter: 'some adapter' } });
    expect(chooseEngine('auto', none)).toEqual({ engine: 'onnx', reason: { kind: 'no-gpu', problem } });
  });

  it('is what a person asked for, whatever there is', () => {
    for (const asked of ['webgpu', 'onnx', 'reference'] as const)
      for (const there of [none, device('hardware'), device('software')])
        expect(chooseEngine(asked, there)).toEqual({ engine: asked, reason: { kind: 'asked' } });
  });

  it('has words for every choice and every reason', () => {
    for (const choice of engineChoices) expect(engineWords[choice].meaning).toMatch(/\.$/);
    const reasons: EngineReason[] = [
      { kind: 'asked' },
      { kind: 'gpu' },
      { kind: 'software', adapter: 'some adapter' },
      { kind: 'no-gpu', problem },
      { kind: 'last-resort', problem },
    ];
    for (const reason of reasons) expect(reasonWords[reason.kind]).not.toBe('');
    expect(reasons.map((reason) => reasonText(reason)?.first ?? null)).toEqual([
      null,
      null,
      'The only GPU here is a software one (some adapter).',
      problem.message,
      problem.message,
    ]);
    expect(engineName({ engine: 'webgpu', adapter: { name: '', kind: 'software', features: [] } })).toBe('WebGPU on a software GPU');
    expect(engineName({ engine: 'onnx', adapter: { name: '', kind: 'cpu', features: [] } })).toBe('CPU (ONNX)');
  });
});
