import type { Role } from '../graph/document.ts';
import type { CompiledSelector, TokenContext } from '../graph/plan.ts';

/** A sequence as selectors see it. `ids` and `roles` may grow while tokens are generated. */
export interface TokenRow {
  readonly ids: readonly number[];
  readonly promptLength: number;
  readonly roles: readonly (Role | null)[];
}

/**
 * What a selector may look at, at one position. Tokens after the prompt have the role 'assistant' where none is given. Nothing here
 * depends on how the run is cut into forward calls: that is what makes cached decoding equal full recomputation.
 */
export function tokenContext(row: TokenRow, position: number): TokenContext {
  const role = row.roles[position] ?? (position >= row.promptLength ? 'assistant' : null);
  return { position, promptLength: row.promptLength, id: row.ids[position], role };
}

export function selects(selector: CompiledSelector, row: TokenRow, position: number): boolean {
  return selector.selects(tokenContext(row, position));
}

/** Positions in [from, to) that a selector picks, ascending. */
export function selectedPositions(selector: CompiledSelector, row: TokenRow, from = 0, to = row.ids.length): number[] {
  const positions: number[] = [];
  for (let p = from; p < to; p++) if (selects(selector, row, p)) positions.push(p);
  return positions;
}
