import type { ModelShape } from '../graph/points.ts';

/** How a direction was made, in a form that makes it again. */
export type Recipe =
  | { readonly kind: 'texts'; readonly towards: string; readonly away: string }
  | { readonly kind: 'word'; readonly word: string }
  | { readonly kind: 'random'; readonly seed: number }
  | { readonly kind: 'file'; readonly name: string }
  /** A fit of this page; `made` is the time in its receipt, by which it is found again (state/sent-fits.ts). */
  | { readonly kind: 'fit'; readonly name: string; readonly made: string };

/**
 * One direction for every head: what heads are steered with when they are selected. Row `layer * heads + head` has `headDim`
 * values and is as long as that head's usual output, so that strength 1 adds as much as the head usually writes.
 * A row of zeros means there is no direction for that head.
 */
export interface Palette {
  readonly recipe: Recipe;
  readonly layers: number;
  readonly heads: number;
  readonly headDim: number;
  readonly data: Float32Array;
  /** layers x heads, 0 or more: how much this head has to do with the direction. What is meant depends on the recipe, see `note`. */
  readonly relevance: Float32Array;
  /** One or two sentences: how the direction was found and what strength 1 means. */
  readonly note: string;
  /** The weights that these are directions of; absent where that is not known, as with files. */
  readonly madeOn?: { readonly identity: string; readonly label: string };
}

export const paletteRow = (palette: Palette, layer: number, head: number): Float32Array => {
  const start = (layer * palette.heads + head) * palette.headDim;
  return palette.data.subarray(start, start + palette.headDim);
};

export const hasDirection = (palette: Palette, layer: number, head: number): boolean =>
  paletteRow(palette, layer, head).some((value) => value !== 0);

export const fitsShape = (palette: Palette, shape: ModelShape): boolean =>
  palette.layers === shape.layers && palette.heads === shape.heads && palette.headDim === shape.headDim;

/** The `count` most relevant heads that have a direction, as row numbers, the most relevant first; ties by position. */
export function topHeads(palette: Palette, count: number): number[] {
  const rows = Array.from(palette.relevance, (_, row) => row).filter((row) =>
    hasDirection(palette, Math.floor(row / palette.heads), row % palette.heads),
  );
  rows.sort((a, b) => palette.relevance[b] - palette.relevance[a] || a - b);
  return rows.slice(0, Math.max(0, count));
}

/** A recipe in words, for headings and receipts. */
export function describeRecipe(recipe: Recipe): string {
  switch (recipe.kind) {
    case 'texts':
      return `from “${shorten(recipe.away)}” towards “${shorten(recipe.towards)}”`;
    case 'word':
      return `towards the word “${recipe.word}”`;
    case 'random':
      return `random control, seed ${recipe.seed}`;
    case 'file':
      return `from the file ${recipe.name}`;
    case 'fit':
      return `from ${recipe.name}`;
  }
}

/** The kind of a recipe in two or three words. */
export function recipeKind(recipe: Recipe): string {
  switch (recipe.kind) {
    case 'texts':
      return 'direction from two texts';
    case 'word':
      return `direction: the word “${recipe.word}”`;
    case 'random':
      return 'random control';
    case 'file':
    case 'fit':
      return recipe.name;
  }
}

const shorten = (text: string): string => {
  const line = text.trim().split('\n')[0];
  const more = text.trim().includes('\n') || line.length > 32;
  return line.slice(0, 32) + (more ? '…' : '');
};
