import { describe, expect, it } from 'vitest';
import { parseAt, parsePoints } from './points.ts';

describe('--points', () => {
  it('takes names, with layers or without', () => {
    expect(parsePoints('z', 6)).toEqual([{ point: 'z' }]);
    expect(parsePoints('z, resid_post', 6)).toEqual([{ point: 'z' }, { point: 'resid_post' }]);
    expect(parsePoints('z:3,5,embed', 6)).toEqual([{ point: 'z', layers: [3, 5] }, { point: 'embed' }]);
    expect(parsePoints('z:4,1-2,1,logits', 6)).toEqual([{ point: 'z', layers: [1, 2, 4] }, { point: 'logits' }]);
  });

  it('refuses what it does not know', () => {
    for (const text of ['', 'zz', 'z,', ',z', '3', 'z:', 'z:6', 'z:4-2', 'embed:0', 'z,z', 'z:-1', 'z:1,,2', 'z3', 'z:a', 'embed,0'])
      expect(() => parsePoints(text, 6), text).toThrow(/--points/);
  });
});

describe('--at', () => {
  it('takes words and selectors', () => {
    expect(parseAt('last')).toBe('last');
    expect(parseAt('{"from": 1, "to": -1}')).toEqual({ from: 1, to: -1 });
    expect(parseAt('{"any": ["prompt", {"ids": [3]}]}')).toEqual({ any: ['prompt', { ids: [3] }] });
  });

  it('refuses anything else', () => {
    for (const text of ['', 'first', '{', '{"from": 1.5}', '{"from": 0, "step": 2}', '["all"]', '3'])
      expect(() => parseAt(text), text).toThrow(/--at/);
  });
});
