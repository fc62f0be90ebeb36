import { graphLimits } from '../src/graph/limits.ts';
import { points, type PointRow, type WidthKind } from '../src/graph/points.ts';

const widths: Record<WidthKind, string> = {
  hidden: 'hidden',
  query: 'heads × headDim',
  kv: 'kvHeads × headDim',
  intermediate: 'intermediate',
  vocab: 'vocabulary',
};
const heads = { query: 'query heads', kv: 'key and value heads' } as const;

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');

const pointRow = (row: PointRow): string[] => [
  `\`${row.point}\``,
  row.perLayer ? 'yes' : 'no',
  widths[row.width],
  row.heads ? heads[row.heads] : '',
  row.doc,
];

const limitNames: Record<keyof typeof graphLimits, string> = {
  nodes: 'nodes',
  vectors: 'vectors',
  inlineNumbers: 'inline numbers, in all vectors together',
  selectorDepth: 'nesting of `any`, `all` and `not` in a selector',
  idLength: 'characters of an id',
  nameLength: 'characters of the name of a graph, vector, lane or family',
  values: 'JSON values, inline numbers left out',
  textLength: 'characters of the document',
  dimension: 'layers, heads, widths and every other number of a shape',
  index: 'positions and token ids',
};

/** Parts of docs/graph.md that come from tables in code. */
export const graphDocParts: Readonly<Record<string, string>> = {
  points: table(['point', 'layer', 'width', 'head', 'what it is'], points.map(pointRow)),
  limits: table(
    ['what', 'at most'],
    Object.entries(limitNames).map(([key, name]) => [name, graphLimits[key as keyof typeof graphLimits].toLocaleString('en-US')]),
  ),
};

/** The page with its made parts put in anew. */
export function withParts(page: string): string {
  return page.replace(
    /(<!-- made by scripts\/graph-schema\.ts: (\w+) -->\n)[^]*?(<!-- end -->)/g,
    (_, head: string, part: string, end: string) => {
      return `${head}${graphDocParts[part]}\n${end}`;
    },
  );
}
