import { mkdirSync, rmSync } from 'node:fs';
import { prepareMachine } from './test-machine.ts';
import { addCounts, countPart, type Count } from './test-count.ts';
import { parts, reportFolder, type Part } from './test-parts.ts';
import { runTool } from './command.ts';

/**
 * `npm test`: everything. `npm test -- unit e2e` runs only those parts. The last line is `N passed, N failed`, and the exit status
 * is 0 when nothing failed.
 */
const say = (text: string): void => console.log(text);

const wanted = process.argv.slice(2);
const groups = new Set(parts.flatMap((part) => [part.name, ...part.groups]));
const unknown = wanted.filter((word) => !groups.has(word));
if (unknown.length > 0) {
  console.error(`No part of the tests is called ${unknown.join(', ')}. There are: ${[...groups].join(', ')}.`);
  process.exit(2);
}
const chosen = parts.filter((part) => wanted.length === 0 || wanted.some((word) => word === part.name || part.groups.includes(word)));

const results: { readonly part: string; readonly count: Count; readonly seconds: number }[] = [];
const add = (part: string, count: Count, seconds: number): void => void results.push({ part, count, seconds });
const failure: Count = { passed: 0, failed: 1, skipped: 0, reasons: [] };

async function runPart(part: Part): Promise<void> {
  const start = performance.now();
  if (part.report) rmSync(part.report.file, { force: true });
  const absent = await part.absent();
  if (absent !== null) {
    say(`skip ${part.name}: ${absent}`);
    add(part.name, { passed: 0, failed: 0, skipped: 1, reasons: [absent] }, 0);
    return;
  }
  const { status, output } = await part.run();
  const count = countPart(status, part.report?.file ?? null, part.report?.read ?? (() => failure));
  const seconds = (performance.now() - start) / 1000;
  if (count.failed > 0) say(`\n--- ${part.name} ---\n${output.trim()}\n`);
  say(`${count.failed > 0 ? 'FAIL' : 'ok  '} ${part.name} (${seconds.toFixed(0)} s)`);
  add(part.name, count, seconds);
}

mkdirSync(reportFolder, { recursive: true });
if (chosen.some((part) => !part.light)) {
  for (const sentence of await prepareMachine(say)) {
    say(sentence);
    add('machine', failure, 0);
  }
}
if (chosen.some((part) => !part.light || part.name === 'build')) {
  const model = await runTool('node_modules/tsx/dist/cli.mjs', ['scripts/model.ts', 'stories15M', 'minimind2-small'], {
    timeout: 10 * 60_000,
  });
  if (model.status !== 0) {
    say(`\n--- models ---\n${model.output.trim()}\n`);
    add('models', failure, 0);
  }
}

// Light parts two at a time, the others one after the other: they use every core there is.
const light = chosen.filter((part) => part.light);
const worker = async (): Promise<void> => {
  for (let part = light.shift(); part; part = light.shift()) await runPart(part);
};
await Promise.all([worker(), worker()]);
for (const part of chosen.filter((one) => !one.light)) await runPart(part);

const gpuParts = new Set(chosen.filter((part) => part.gpu).map((part) => part.name));
if (gpuParts.size > 0 && addCounts(results.filter((row) => gpuParts.has(row.part)).map((row) => row.count)).passed === 0) {
  say('Every GPU test was skipped or failed: a run without a GPU or a software driver proves nothing.');
  add('GPU tests', failure, 0);
}

const total = addCounts(results.map((row) => row.count));
say(`\n${'part'.padEnd(16)}${'passed'.padStart(8)}${'failed'.padStart(8)}${'skipped'.padStart(8)}${'seconds'.padStart(9)}`);
for (const { part, count, seconds } of results) {
  const numbers = [count.passed, count.failed, count.skipped].map((number) => String(number).padStart(8)).join('');
  say(`${part.padEnd(16)}${numbers}${seconds.toFixed(0).padStart(9)}`);
}
if (total.skipped > 0) {
  say('\nskipped:');
  for (const { part, count } of results) for (const reason of new Set(count.reasons)) say(`  ${part}: ${reason}`);
}
say(`\n${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed > 0 ? 1 : 0;
