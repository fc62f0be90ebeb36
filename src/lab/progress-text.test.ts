import { describe, expect, it } from 'vitest';
import { describeProgress, formatBytes, formatSeconds, Rate } from './progress-text.ts';

describe('progress in words', () => {
  it.each([
    [0, '0 B'],
    [999, '999 B'],
    [1500, '1.5 kB'],
    [60_816_028, '61 MB'],
    [999_700_000, '1.0 GB'],
    [2.5e9, '2.5 GB'],
  ])('%d bytes are %s', (bytes, expected) => {
    expect(formatBytes(bytes)).toBe(expected);
  });

  it.each([
    [0.2, '1 s'],
    [59, '59 s'],
    [600, '10 min'],
    [5400, '1.5 h'],
  ])('%d seconds are %s', (seconds, expected) => {
    expect(formatSeconds(seconds)).toBe(expected);
  });

  it('says bytes, rate and time left once a rate is known, and starts again with each stage', () => {
    const rate = new Rate();
    const at = (done: number, now: number) => rate.of({ stage: 'download', done, total: 10e6, unit: 'bytes' }, now);
    expect(at(1e6, 0)).toBeNull();
    expect(at(2e6, 1000)).toBe(1e6);
    expect(describeProgress({ stage: 'download', done: 2e6, total: 10e6, unit: 'bytes' }, 1e6)).toEqual({
      text: 'downloading, 2.0 MB of 10 MB, 1.0 MB/s, 8 s left',
      share: 0.2,
    });
    expect(rate.of({ stage: 'verify', done: 0, total: 10, unit: 'bytes' }, 1100)).toBeNull();
  });

  it('counts kernels and says nothing it does not know', () => {
    expect(describeProgress({ stage: 'compile', done: 3, total: 9, unit: 'kernels' }, null).text).toBe('compiling kernels, 3 of 9');
    expect(describeProgress({ stage: 'warm-up', done: 0, total: 1, unit: 'steps' }, null).text).toBe('warming up');
    expect(describeProgress({ stage: 'config', done: 0, total: 0, unit: 'steps' }, null).share).toBeNull();
  });
});
