import { controls } from '../src/methods/controls.ts';
import type { Method, SettingRow } from '../src/methods/method.ts';
import { methods } from '../src/methods/methods.ts';

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');

const plain = (value: number): string => value.toLocaleString('en-US', { maximumFractionDigits: 6 });

function range(row: SettingRow): string {
  switch (row.kind) {
    case 'number':
      return `${plain(row.least)} to ${plain(row.most)}`;
    case 'integer':
      return `whole, ${plain(row.least)} to ${plain(row.most)}`;
    case 'choice':
      return row.options.map((option) => `\`${option}\``).join(', ');
    case 'flag':
      return '`true`, `false`';
    case 'selector':
      return 'selector';
  }
}

const section = ({ name, title, what, source, needs, settings }: Method): string =>
  [
    `### \`${name}\` — ${title}`,
    '',
    what,
    '',
    `Source: ${source}. Needs ${needs === 'pairs' ? 'pairs of a wanted and an unwanted text' : 'examples of both classes'}.`,
    '',
    table(
      ['setting', 'default', 'values', 'what it does'],
      Object.entries(settings).map(([key, row]) => [`\`${key}\``, `\`${row.default}\``, range(row), row.doc]),
    ),
  ].join('\n');

/** Parts of docs/methods.md that come from tables in code. */
const parts: Readonly<Record<string, string>> = {
  methods: methods.map(section).join('\n\n'),
  controls: table(
    ['control', 'what it is'],
    controls.map(({ name, what }) => [name, what]),
  ),
};

/** The page with its made parts put in anew. */
export function withMethodParts(page: string): string {
  return page.replace(
    /(<!-- made by scripts\/method-docs\.ts: (\w+) -->\n)[^]*?(<!-- end -->)/g,
    (_, head: string, part: string, end: string) => `${head}${parts[part]}\n${end}`,
  );
}
