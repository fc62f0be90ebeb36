import { join } from 'node:path';
import { deviceKinds } from '../test/vulkan.ts';
import { runTool, type CommandResult } from './command.ts';
import { countPlaywright, countVitest, type Count } from './test-count.ts';

/** One step of `npm test`. A step without a report counts as one test. */
export interface Part {
  readonly name: string;
  /** Words of `npm test -- WORD` that choose it. */
  readonly groups: readonly string[];
  readonly run: () => Promise<CommandResult>;
  readonly report: { readonly file: string; readonly read: (text: string) => Count } | null;
  /** Uses one core, so it may run beside another such part. */
  readonly light: boolean;
  /** Says why the part cannot run on this machine; null when it can. */
  readonly absent: () => Promise<string | null>;
  /** Runs kernels on a GPU or a software driver: a run in which none of these tests passed fails. */
  readonly gpu: boolean;
}

export const reportFolder = 'test-results';
const minutes = 60_000;

/** Nothing is missing. */
const always = (): Promise<null> => Promise.resolve(null);

async function absentDevice(env: Readonly<Record<string, string>>): Promise<string | null> {
  const { status, output } = await runTool('node_modules/tsx/dist/cli.mjs', ['scripts/probe-device.ts'], { env, timeout: 2 * minutes });
  const reason = output
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('Warning:'))
    .join(' ');
  // A probe that crashes is for the tests to report.
  return status === 0 && reason !== '' ? reason : null;
}

const check = (name: string, script: string, args: readonly string[]): Part => ({
  name,
  groups: ['static', name],
  run: () => runTool(script, args, { timeout: 10 * minutes }),
  report: null,
  light: true,
  absent: always,
  gpu: false,
});

function vitest(name: string, groups: readonly string[], project: string, env: Readonly<Record<string, string>>): Part {
  const file = join(reportFolder, `${name}.json`);
  const args = ['run', '--project', project, '--reporter=dot', '--reporter=json', `--outputFile.json=${file}`];
  return {
    name,
    groups,
    run: () => runTool('node_modules/vitest/vitest.mjs', args, { env, timeout: 15 * minutes }),
    report: { file, read: countVitest },
    light: false,
    absent: project === 'device' ? () => absentDevice(env) : always,
    gpu: project === 'device',
  };
}

const e2eReport = join(reportFolder, 'e2e.json');

/** In the order in which they run: what fails soonest comes first. */
export const parts: readonly Part[] = [
  check('types', 'node_modules/typescript/bin/tsc', ['-p', '.']),
  check('svelte-check', 'node_modules/svelte-check/bin/svelte-check', [
    '--tsconfig',
    'tsconfig.json',
    '--fail-on-warnings',
    '--output',
    'human',
  ]),
  check('lint', 'node_modules/eslint/bin/eslint.js', ['--max-warnings', '0', '.']),
  check('format', 'node_modules/prettier/bin/prettier.cjs', ['--check', '--log-level', 'warn', '.']),
  check('knip', 'node_modules/knip/bin/knip.js', ['--no-progress']),
  { ...check('build', 'node_modules/vite/bin/vite.js', ['build', '--logLevel', 'warn']), groups: ['build', 'e2e'] },
  vitest('unit', ['unit'], 'unit', {}),
  ...deviceKinds.map((kind) => vitest(kind, ['device', kind], 'device', { TILLER_TEST_DEVICE: kind })),
  {
    name: 'e2e',
    groups: ['e2e'],
    run: () => runTool('node_modules/@playwright/test/cli.js', ['test'], { env: { TILLER_E2E_REPORT: e2eReport }, timeout: 20 * minutes }),
    report: { file: e2eReport, read: countPlaywright },
    light: false,
    absent: always,
    gpu: false,
  },
];
