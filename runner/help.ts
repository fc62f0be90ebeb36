import type { Command } from './command.ts';
import { optionRows } from './options.ts';

export const wrapped = (text: string, indent: number): string => {
  const width = 118 - indent;
  const lines = [''];
  for (const word of text.split(' ')) {
    if (lines[lines.length - 1].length + word.length + 1 > width) lines.push('');
    lines[lines.length - 1] += lines[lines.length - 1] === '' ? word : ` ${word}`;
  }
  return lines.join(`\n${' '.repeat(indent)}`);
};

export function overview(commands: readonly Command[]): string {
  const rows = commands.map(({ verb, summary }) => `  ${verb.padEnd(10)} ${wrapped(summary, 13)}`);
  return [
    'tiller VERB [options]: runs language models with intervention graphs.',
    '',
    ...rows,
    '',
    '`tiller help VERB` lists the options of a verb. With --json, standard output is one JSON document.',
    'Exit status: 0, 1 for a failure, 2 for wrong usage. Every error has a code, explained in docs/errors.md.',
    '',
  ].join('\n');
}

export function verbHelp({ usage, summary, options, more }: Command): string {
  const rows = [...options, 'json' as const, 'help' as const].map((name) => {
    const { value, repeatable, doc } = optionRows[name];
    return `  ${`--${name}${value === null ? '' : ` ${value}`}`.padEnd(32)} ${wrapped(repeatable ? `${doc}; may be given more than once` : doc, 35)}`;
  });
  return [`tiller ${usage}`, '', summary, '', ...rows, ...(more ? ['', more()] : []), ''].join('\n');
}
