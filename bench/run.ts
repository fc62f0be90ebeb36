/**
 * `npm run bench`: measures every device of this machine, one process each, writes bench/results/<adapter>.json, prints the
 * tables, and puts them into docs/benchmarks.md.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { deviceKinds } from '../test/vulkan.ts';
import type { ChildReport, ChildTask } from './child.ts';
import { inDeviceProcess } from './devices-process.ts';
import { measurements } from './measurements.ts';
import { reportParts, withReport } from './report.ts';
import { readResults, saveRuns } from './results.ts';
import { readShapes } from './shapes-result.ts';

const quantizations = ['none', 'q8', 'q4'] as const;
const names = measurements.map(({ name }) => name);
const page = new URL('../docs/benchmarks.md', import.meta.url);
const help = `npm run bench -- [NAME...] [options]
  NAME   measure this only: ${names.join(', ')}
  --device ${deviceKinds.join('|')}   measure this device only; may be repeated
  --model FOLDER   folder of a model (models/stories15M)
  --quantize ${quantizations.join('|')}   how weights are kept on the device (none: as stored); may be repeated
  --only NAME   the same as NAME
  --quick   shorter runs and fewer rounds; nothing is written
  --docs   measure nothing, put the stored results into docs/benchmarks.md`;

function usage(problem: string): never {
  console.error(`${problem}\n\n${help}`);
  process.exit(2);
}

function pick<const Choice extends string>(option: string, value: string, choices: readonly Choice[]): Choice {
  return choices.find((choice) => choice === value) ?? usage(`--${option} is "${value}", expected one of ${choices.join(', ')}`);
}

function readOptions() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        device: { type: 'string', multiple: true },
        model: { type: 'string', default: 'models/stories15M' },
        quantize: { type: 'string', multiple: true, default: ['none'] },
        only: { type: 'string', multiple: true },
        quick: { type: 'boolean', default: false },
        docs: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
    return { ...values, only: [...(values.only ?? []), ...positionals] };
  } catch (error) {
    return usage(error instanceof Error ? error.message : String(error));
  }
}

function writeDocs(): void {
  const parts = reportParts(readResults(), readShapes());
  writeFileSync(page, withReport(readFileSync(page, 'utf8'), parts));
}

const values = readOptions();
if (values.help) {
  console.log(help);
} else if (values.docs) {
  writeDocs();
} else {
  const devices = (values.device ?? deviceKinds).map((device) => pick('device', device, deviceKinds));
  const tasks = values.quantize.map((quantization): ChildTask => ({
    folder: values.model,
    quantization: pick('quantize', quantization, quantizations),
    only: values.only.map((name) => pick('only', name, names)),
    quick: values.quick,
  }));
  if (!existsSync(values.model)) usage(`there is no ${values.model}; \`npm run model\` makes the embedded model`);
  const failures: string[] = [];
  let measured = 0;
  for (const [device, task] of devices.flatMap((one) => tasks.map((task) => [one, task] as const))) {
    const report = await inDeviceProcess<ChildTask, ChildReport>('child.ts', device, task);
    failures.push(...report.failures);
    if (report.skip !== null) console.log(`${device} is skipped: ${report.skip}`);
    if (!report.head || report.runs.length === 0) continue;
    measured += 1;
    const parts = reportParts([{ ...report.head, runs: report.runs }], null);
    for (const { name, title } of measurements) {
      if (report.runs.some((run) => name in run.measurements)) console.log(`\n${title}, ${report.head.adapter.name}\n\n${parts[name]}`);
    }
    if (!values.quick) console.log(`\nwritten to ${await saveRuns(report.head, report.runs)}`);
  }
  if (measured > 0 && !values.quick) writeDocs();
  for (const failure of failures) console.error(failure);
  if (failures.length > 0 || measured === 0) process.exitCode = 1;
}
