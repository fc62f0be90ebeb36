import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { redo, settle, startHistory, step, undo } from './history.ts';

describe('history', () => {
  it('undoes and redoes any sequence of steps exactly', () => {
    fc.assert(
      fc.property(fc.array(fc.integer(), { minLength: 1, maxLength: 50 }), (values) => {
        let history = startHistory(values[0]);
        for (const value of values.slice(1)) history = step(history, value);
        for (const value of values.slice(0, -1).reverse()) {
          history = undo(history);
          expect(history.present).toBe(value);
        }
        expect(undo(history)).toBe(history);
        for (const value of values.slice(1)) {
          history = redo(history);
          expect(history.present).toBe(value);
        }
        expect(redo(history)).toBe(history);
      }),
    );
  });

  it('counts one gesture as one step, and two gestures as two', () => {
    let history = startHistory(0);
    for (const value of [1, 2, 3]) history = step(history, value, 'strength');
    history = settle(history);
    for (const value of [4, 5]) history = step(history, value, 'strength');
    history = undo(history);
    expect(history.present).toBe(3);
    history = undo(history);
    expect(history.present).toBe(0);
  });

  it('forgets the future when something new is done', () => {
    const history = step(undo(step(startHistory('a'), 'b')), 'c');
    expect(redo(history).present).toBe('c');
    expect(undo(history).present).toBe('a');
  });

  it('can hold undefined', () => {
    expect(undo(step(startHistory<number | undefined>(undefined), 1)).present).toBeUndefined();
  });
});
