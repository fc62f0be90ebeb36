import { describe, expect, it } from 'vitest';
import type { ServedModel } from '../engine/remote/documents.ts';
import { busyWords, machineWords, modelState, neededBytes } from './runner-words.ts';

const model = {
  name: 'm',
  state: 'cold',
  problem: null,
  memory: { weights: 1000, cachePerToken: 1 },
  limits: { maxContext: 100, maxLanes: 8 },
} as unknown as ServedModel;

describe('a runner in words', () => {
  it('counts memory for two texts of the context that there is', () => {
    expect(neededBytes(model)).toBe(1200);
  });

  it('says what fits, and why not where it does not', () => {
    expect(modelState(model, { total: 4000, free: 3000 })).toEqual({ text: 'on disk', reason: null });
    expect(modelState(model, { total: 4000, free: 1000 }).text).toContain('1.0 kB are free now');
    expect(modelState(model, { total: 1100, free: 1000 }).reason).toContain('It needs 1.2 kB');
    expect(modelState({ ...model, state: 'failed', problem: 'its file ends early' }, { total: 1, free: 1 })).toEqual({
      text: 'failed',
      reason: 'its file ends early',
    });
  });

  it('says how busy it is', () => {
    expect(busyWords({ running: 0, queued: 0, jobs: 0 })).toBe('idle');
    expect(busyWords({ running: 1, queued: 2, jobs: 3 })).toBe('1 request runs, 2 wait, 3 jobs run');
  });

  it('names the machine', () => {
    const parts = { memory: { total: 2000, free: 1000 }, program: '0.1.0' };
    const adapter = { name: 'a GPU', kind: 'hardware' as const };
    expect(machineWords({ ...parts, engine: 'auto', adapter } as never)).toBe('a GPU; 1.0 kB of 2.0 kB memory free; Tiller 0.1.0');
    expect(machineWords({ ...parts, engine: 'onnx', adapter: null } as never)).toContain('CPU (ONNX)');
  });
});
