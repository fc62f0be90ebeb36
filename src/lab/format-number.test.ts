import { describe, expect, it } from 'vitest';
import { decimalsFor, formatDose, formatEstimate, formatNumber, formatPercent, formatSigned } from './format-number.ts';

describe('numbers as they are written', () => {
  it('drops zeros at the end and the sign of nothing', () => {
    expect(formatNumber(1.5)).toBe('1.5');
    expect(formatNumber(-1.239)).toBe('−1.24');
    expect(formatNumber(-0.001)).toBe('0');
    expect(formatNumber(100)).toBe('100');
    expect(formatNumber(0.10001, 3)).toBe('0.1');
    expect(formatNumber(NaN)).toBe('unknown');
  });

  it('gives differences their sign', () => {
    expect(formatSigned(0.5)).toBe('+0.5');
    expect(formatSigned(-0.5)).toBe('−0.5');
    expect(formatSigned(0.0001)).toBe('0');
  });

  it('writes shares and intervals', () => {
    expect(formatDose(0.125)).toBe('0.125');
    expect(formatPercent(0.8333)).toBe('83 %');
    expect(formatEstimate({ value: 0.42, interval: [0.31, 0.534] })).toBe('0.42 (0.31 to 0.53)');
    expect(formatEstimate({ value: 0.0042, interval: [0.0039, 0.0045] }, true)).toBe('+0.0042 (+0.0039 to +0.0045)');
    expect(formatEstimate({ value: 12.34, interval: [-3, 28] })).toBe('12 (−3 to 28)');
    expect(formatEstimate({ value: 0, interval: [0, 0] })).toBe('0 (0 to 0)');
  });

  it('keeps three digits that count', () => {
    expect([123, 12.3, 1.23, 0.123, 0.0123, 0].map(decimalsFor)).toEqual([0, 1, 2, 3, 4, 2]);
  });
});
