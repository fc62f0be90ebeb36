import { describe, expect, it } from 'vitest';
import { memoryResults } from '../captures/memory-results.ts';
import { storedUnits } from './stored-units.ts';

describe('units in a store of results', () => {
  it('are there again after a flush, and those of another study are not', async () => {
    const store = memoryResults();
    const first = storedUnits(store, 'a');
    await first.set('x', [1, 'two', null]);
    expect(await first.get('x')).toEqual([1, 'two', null]);
    expect(await storedUnits(store, 'a').get('x')).toBeUndefined();
    await first.flush();
    expect(await storedUnits(store, 'a').get('x')).toEqual([1, 'two', null]);
    expect(await storedUnits(store, 'b').get('x')).toBeUndefined();
  });

  it('survive a run that never flushed, all but the last page', async () => {
    const store = memoryResults();
    const killed = storedUnits(store, 'a');
    for (let i = 0; i < 300; i += 1) await killed.set(`k${i}`, i);
    const next = storedUnits(store, 'a');
    expect(await next.get('k255')).toBe(255);
    expect(await next.get('k256')).toBeUndefined();
  });

  it('are put together when there are many pages, and damaged pages are passed over', async () => {
    const store = memoryResults();
    for (let i = 0; i < 70; i += 1) {
      const one = storedUnits(store, 'a');
      await one.set(`k${i}`, i);
      await one.flush();
    }
    await store.write('units/a/damaged.json', new TextEncoder().encode('{"k0": '));
    const all = storedUnits(store, 'a');
    for (let i = 0; i < 70; i += 1) expect(await all.get(`k${i}`)).toBe(i);
    expect((await store.list('units/a/')).length).toBeLessThan(64);
  });
});
