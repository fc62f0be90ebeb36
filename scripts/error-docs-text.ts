import type { ErrorRow } from '../src/errors/catalogue.ts';

/** docs/errors.md, from the catalogue. */
export function errorDocs(catalogue: Readonly<Record<string, ErrorRow>>): string {
  const sections = Object.entries(catalogue).map(
    ([code, { what, why, fix }]) => `## \`${code}\`\n\n**What happened.** ${what}\n\n**Why.** ${why}\n\n**What to do.** ${fix}\n`,
  );
  return [
    '# Errors',
    '',
    'Every error of Tiller has a code that never changes its meaning. The page shows it beside the message, the command line prints it at',
    'the end of the line, and `--json` gives it as `error.code`. Words in braces are filled in when the error happens. This page is made',
    'from `src/errors/catalogue.ts` by `npm run docs`.',
    '',
    ...sections,
  ].join('\n');
}
