import { writeFileSync } from 'node:fs';
import { MessageChannel } from 'node:worker_threads';
import { version } from '../package.json' with { type: 'json' };
import { createWebGpuEngine } from '../src/engine/webgpu/index.ts';
import { TillerError } from '../src/errors/error.ts';
import { EngineHost } from '../src/lab/engine-host.ts';
import type { Outcome, StreamMessage } from '../src/lab/engine-protocol.ts';
import { defaultExperiment, laneFactors, type Experiment } from '../src/lab/experiment.ts';
import { setHeads } from '../src/lab/heads.ts';
import type { HostEnvironment } from '../src/lab/model-access.ts';
import { topHeads, type Recipe } from '../src/lab/palette.ts';
import { makeReceipt } from '../src/lab/receipt.ts';
import type { RunRecord, RunToken } from '../src/lab/run-record.ts';
import { packExperiment } from '../src/lab/share.ts';
import { openModel } from '../src/model/model.ts';
import { nodeWebGpuHost } from '../runner/webgpu-host.ts';
import { openFolder } from '../src/store/folder.ts';

/**
 * Writes public/recorded.json: the run that the page shows before any model is loaded. Made by the engine that the page uses, through the
 * same host as in its worker. Run it again after a change of the engine, the default experiment or the format:
 * `npx tsx scripts/record-example.ts`.
 */
const recipe: Recipe = {
  kind: 'texts',
  towards: 'The girl was very sad.\nThe boy cried and cried.\nEveryone was full of sorrow.',
  away: 'The girl was very happy.\nThe boy smiled and laughed.\nEveryone was full of joy.',
};
const heads = 12;
const strength = 1;

const environment: HostEnvironment = {
  now: () => performance.now(),
  storage: null,
  results: null,
  device: () => Promise.reject(new Error('not asked for here')),
  open: async (_request, _progress, signal) => ({
    label: 'stories15M',
    licence: 'MIT',
    files: await openModel(openFolder('models/stories15M'), signal),
  }),
  engine: async (_kind, { spec, source }, options) => ({
    engine: await createWebGpuEngine(spec, source, await nodeWebGpuHost(), options),
    reason: { kind: 'asked' },
  }),
};

const take = async <T>(outcome: Promise<Outcome<T>>): Promise<T> => {
  const result = await outcome;
  if (!result.ok) throw TillerError.fromJSON(result.error);
  return result.value;
};

const host = new EngineHost(environment);
const silent = new MessageChannel();
silent.port1.unref();
const loaded = await take(
  host.load(1, { model: defaultExperiment.model, page: '', hub: '', engine: 'auto' }, silent.port2 as unknown as MessagePort),
);
const palette = await take(host.direction(2, recipe, null));
const changes = topHeads(palette, heads).map((row) => ({ layer: Math.floor(row / palette.heads), head: row % palette.heads, strength: 1 }));
const graph = setHeads(null, loaded.info, palette, 'generated', changes);
if (!graph) throw new Error('no head has a direction');
const experiment: Experiment = { ...defaultExperiment, steering: { graph, palette, tokens: 'generated', strength, more: [] } };

const factors = laneFactors(experiment.steering);
const lanes: { factor: number; tokens: RunToken[] }[] = factors.map((factor) => ({ factor, tokens: [] }));
let prompt: RunRecord['prompt'] = [];
const { port1, port2 } = new MessageChannel();
const streamed = new Promise<void>((resolve) => {
  port1.on('message', (message: StreamMessage) => {
    if (message.type === 'prompt') prompt = message.tokens;
    else message.lanes.forEach((token, i) => token && lanes[i].tokens.push({ ...token, shift: null }));
  });
  port1.on('close', resolve);
});
const { input, sampling, maxTokens } = experiment;
const summary = await take(host.generate(3, { input, graph, factors, maxTokens, sampling }, port2 as unknown as MessagePort));
await streamed;
const shifts = await take(
  host.shifts(4, {
    prompt,
    graph,
    lanes: lanes.map((lane, i) => ({ ids: lane.tokens.map((token) => token.id), factor: i === 0 ? factors[1] : factors[i] })),
  }),
);
const short = (value: number): number => Number(value.toPrecision(5));
const rounded = lanes.map((lane, i) => ({
  factor: lane.factor,
  tokens: lane.tokens.map((token, t) => {
    const words = (list: readonly { text: string; logprob: number }[]) =>
      list.map((word) => ({ text: word.text, logprob: short(word.logprob) }));
    const shift = shifts[i][t];
    return {
      ...token,
      logprob: short(token.logprob),
      shift: { kl: short(shift.kl), before: words(shift.before), after: words(shift.after) },
    };
  }),
}));
const receipt = makeReceipt({
  version, made: new Date().toISOString(), label: loaded.label, choice: experiment.model, info: loaded.info,
  graph, sampling, maxTokens, prompt, lanes: rounded, summary,
}); // prettier-ignore
const run: RunRecord = { state: 'done', prompt, lanes: rounded, summary, receipt };
writeFileSync('public/recorded.json', `${JSON.stringify({ experiment: packExperiment(experiment, { palette: true }), run })}\n`);
for (const lane of lanes) console.log(`×${lane.factor}: ${lane.tokens.map((token) => token.text).join('')}\n`);
process.exit(0);
