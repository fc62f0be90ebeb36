import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { roles, selector } from '../../test/arbitraries/graph.ts';
import type { Role, Selector } from './document.ts';
import type { TokenContext } from './plan.ts';
import { compileSelector } from './selector.ts';

interface Text {
  readonly ids: readonly number[];
  readonly roles: readonly (Role | null)[];
  readonly promptLength: number;
}

const text: fc.Arbitrary<Text> = fc.integer({ min: 1, max: 12 }).chain((length) =>
  fc.record({
    ids: fc.array(fc.integer({ min: 0, max: 5 }), { minLength: length, maxLength: length }),
    roles: fc.array(fc.constantFrom<Role | null>(...roles, null), { minLength: length, maxLength: length }),
    promptLength: fc.integer({ min: 1, max: length }),
  }),
);

const tokens = ({ ids, roles: given, promptLength }: Text): TokenContext[] =>
  ids.map((id, position) => ({ position, promptLength, id, role: given[position] }));

const selected = (given: Selector, of: Text): number[] => {
  const compiled = compileSelector(given);
  return tokens(of).flatMap((token) => (compiled.selects(token) ? [token.position] : []));
};

/** The definitions of docs/graph.md once more, as sets of positions of a whole text. */
function naive(given: Selector, of: Text): Set<number> {
  const everything = of.ids.map((_, position) => position);
  const P = of.promptLength;
  if (given === 'all') return new Set(everything);
  if (given === 'none') return new Set();
  if (given === 'prompt') return new Set(everything.slice(0, P));
  if (given === 'last') return new Set(everything.slice(P - 1, P));
  if (given === 'generated') return new Set(everything.slice(P - 1));
  if (given === 'answer') return new Set(everything.slice(P));
  if ('at' in given) return new Set(given.at.filter((position) => everything.includes(position)));
  if ('ids' in given) return new Set(everything.filter((position) => given.ids.includes(of.ids[position])));
  if ('role' in given) {
    const roleOf = (position: number): Role | null => of.roles[position] ?? (position < P ? null : 'assistant');
    return new Set(everything.filter((position) => roleOf(position) === given.role));
  }
  if ('any' in given) return new Set(given.any.flatMap((part) => [...naive(part, of)]));
  if ('all' in given) return new Set(given.all.reduce((left, part) => left.filter((p) => naive(part, of).has(p)), everything));
  if ('not' in given) {
    const without = naive(given.not, of);
    return new Set(everything.filter((position) => !without.has(position)));
  }
  const start = given.from === undefined ? 0 : given.from < 0 ? P + given.from : given.from;
  const end = given.to === undefined ? everything.length : given.to < 0 ? P + given.to : given.to;
  const out = new Set<number>();
  for (let position = Math.max(start, 0); position < Math.min(end, everything.length); position++) out.add(position);
  return out;
}

const sorted = (set: Set<number>): number[] => [...set].sort((a, b) => a - b);

describe('selectors', () => {
  const ten: Text = { ids: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], roles: Array<null>(10).fill(null), promptLength: 6 };

  it.each<[Selector, number[]]>([
    ['all', [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]],
    ['none', []],
    ['prompt', [0, 1, 2, 3, 4, 5]],
    ['last', [5]],
    ['generated', [5, 6, 7, 8, 9]],
    ['answer', [6, 7, 8, 9]],
    [{ from: 2, to: 4 }, [2, 3]],
    [{ from: 7 }, [7, 8, 9]],
    [{ to: 2 }, [0, 1]],
    [{ from: -2 }, [4, 5, 6, 7, 8, 9]],
    [{ to: -4 }, [0, 1]],
    [{ from: -3, to: -1 }, [3, 4]],
    [{ from: -100, to: 1 }, [0]],
    [{ to: -100 }, []],
    [{ from: -1, to: 8 }, [5, 6, 7]],
    [{ at: [9, 0, 40] }, [0, 9]],
    [{ ids: [3, 99] }, [2]],
    [{ role: 'assistant' }, [6, 7, 8, 9]],
    [{ not: 'prompt' }, [6, 7, 8, 9]],
    [{ any: [] }, []],
    [{ all: [] }, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]],
    [{ all: ['generated', { not: 'answer' }] }, [5]],
  ])('%j of ten tokens, six of them prompt', (given, expected) => {
    expect(selected(given, ten)).toEqual(expected);
  });

  it('agree with the definitions as sets', () => {
    fc.assert(
      fc.property(selector(), text, (given, of) => {
        expect(selected(given, of)).toEqual(sorted(naive(given, of)));
      }),
    );
  });

  it('complement, union and intersection obey their laws', () => {
    fc.assert(
      fc.property(selector(2), selector(2), text, (a, b, of) => {
        expect(selected({ not: { not: a } }, of)).toEqual(selected(a, of));
        expect(selected({ any: [a, { not: a }] }, of)).toEqual(selected('all', of));
        expect(selected({ all: [a, { not: a }] }, of)).toEqual([]);
        expect(selected({ not: { any: [a, b] } }, of)).toEqual(selected({ all: [{ not: a }, { not: b }] }, of));
        expect(selected({ any: [a, b] }, of)).toEqual(selected({ any: [b, a] }, of));
        expect(selected({ all: [a, 'all'] }, of)).toEqual(selected(a, of));
        expect(selected({ any: [a, 'none'] }, of)).toEqual(selected(a, of));
      }),
    );
  });

  it('the words are ranges', () => {
    fc.assert(
      fc.property(text, (of) => {
        expect(selected('last', of)).toEqual(selected({ all: ['prompt', 'generated'] }, of));
        expect(selected('generated', of)).toEqual(selected({ from: -1 }, of));
        expect(selected('answer', of)).toEqual(selected({ not: 'prompt' }, of));
        expect(selected('prompt', of)).toEqual(selected({ to: of.promptLength }, of));
      }),
    );
  });

  it('never look at later tokens', () => {
    fc.assert(
      fc.property(selector(), text, fc.nat(12), (given, of, cut) => {
        const short = { ...of, ids: of.ids.slice(0, cut), roles: of.roles.slice(0, cut) };
        expect(selected(given, short)).toEqual(selected(given, of).filter((position) => position < cut));
      }),
    );
  });

  it('are positional exactly when they name no ids, and then ids do not matter', () => {
    fc.assert(
      fc.property(selector(), text, (given, of) => {
        const { positional } = compileSelector(given);
        expect(positional).toBe(!JSON.stringify(given).includes('"ids"'));
        if (positional) expect(selected(given, { ...of, ids: of.ids.map((id) => id + 100) })).toEqual(selected(given, of));
      }),
    );
  });
});
