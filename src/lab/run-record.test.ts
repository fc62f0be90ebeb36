import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { laneText, readRun } from './run-record.ts';
import { unpackExperiment } from './share.ts';

const recording = JSON.parse(readFileSync(new URL('../../public/recorded.json', import.meta.url), 'utf8')) as {
  experiment: unknown;
  run: unknown;
};

describe('kept runs', () => {
  it('takes the recorded example, complete with shifts and receipt', () => {
    const run = readRun(recording.run);
    const experiment = unpackExperiment(recording.experiment);
    expect(run?.state).toBe('done');
    expect(run?.lanes.map((lane) => lane.factor)).toEqual([0, experiment.steering.strength]);
    expect(run?.lanes.every((lane) => lane.tokens.every((token) => token.shift !== null))).toBe(true);
    expect(run?.receipt?.lanes[1].text).toBe(laneText(run?.lanes[1] ?? { factor: 0, tokens: [] }));
    expect(run?.receipt?.engine.name).toBe('webgpu');
  });

  it('calls a run that was under way interrupted', () => {
    expect(readRun({ ...(recording.run as object), state: 'running' })?.state).toBe('interrupted');
  });

  it.each([null, 7, {}, { state: 'done' }, { ...(recording.run as object), lanes: 'none' }])('gives null for what is no run', (value) => {
    expect(readRun(value)).toBeNull();
  });
});
