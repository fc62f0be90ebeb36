import { describe, expect, it } from 'vitest';
import { csvText } from './data-table.ts';
import { describeHeads, headTable } from './head-table.ts';

const shape = { family: 'llama', layers: 2, heads: 2, kvHeads: 1, headDim: 2, hidden: 4, intermediate: 8 };

describe('the head map in words', () => {
  it('lists every head, steered or not', () => {
    const table = headTable(shape, new Map([[1, -0.5]]), null, 1);
    expect(csvText(table)).toBe('layer,head,strength,relevance\n0,0,,\n0,1,-0.5,\n1,0,,\n1,1,,\n');
  });

  it('says what is steered which way, the overall strength included', () => {
    const strengths = new Map([
      [0, 1],
      [1, -1],
      [2, 2],
    ]);
    expect(describeHeads(shape, strengths, 1)).toBe('3 of 4 heads are steered: 2 towards, 1 away. Overall strength ×1.');
    expect(describeHeads(shape, strengths, -0.5)).toBe('3 of 4 heads are steered: 1 towards, 2 away. Overall strength ×−0.5.');
    expect(describeHeads(shape, strengths, 0)).toContain('3 at strength 0');
    expect(describeHeads(shape, new Map(), 1)).toBe('No head is steered.');
  });
});
