import type { JobResult } from '../../src/jobs/job-result.ts';
import type { Command } from '../command.ts';
import { readConditions } from '../conditions.ts';
import { showEstimate, table } from '../estimates.ts';
import { jobOutcome, placeOptions } from '../job-verb.ts';
import type { Options } from '../options.ts';
import type { Output } from '../output.ts';
import { readNeutral } from '../recipe-options.ts';

const defaultLength = 128;

async function run(options: Options, output: Output, signal: AbortSignal): Promise<void> {
  const result = await jobOutcome(options, output, signal, async () => {
    const { graph, factors } = await readConditions(options);
    const neutral = await readNeutral(options.text('neutral'));
    const maxLength = options.integer('max-length', 2) ?? defaultLength;
    const seed = options.integer('seed', 0, 0xffffffff) ?? 0;
    return {
      job: { kind: 'evaluate', evaluation: { type: 'damage', neutral, maxLength }, factors, seed },
      graph,
      context: () => maxLength,
    };
  });
  showDamage(result, output);
}

export function showDamage(result: JobResult, output: Output): void {
  if (result.kind !== 'damage') throw new Error(`the result is of a ${result.kind}`);
  const { engine, graph, neutral, seed, conditions, notes } = result;
  output.result({ ...engine, graph, neutral, seed, conditions, notes });
  output.text(
    table([
      ['', 'cross entropy, nats/token', 'rise', 'KL to the unedited model'],
      ...conditions.map(({ name, crossEntropy, crossEntropyRise, kl }) => [
        name,
        showEstimate(crossEntropy),
        showEstimate(crossEntropyRise),
        showEstimate(kl, 4),
      ]),
    ]),
  );
}

export const damageCommand: Command = {
  verb: 'damage',
  summary: 'what a graph costs: cross entropy and KL to the unedited model on neutral texts, with intervals',
  usage: 'damage --model M [--graph G.json [--factor F ...]] [--neutral general|stories|FILE]',
  options: ['model', 'graph', 'factor', 'neutral', 'max-length', 'seed', ...placeOptions],
  run,
};
