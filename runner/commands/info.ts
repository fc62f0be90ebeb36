import type { Command } from '../command.ts';
import { engineOptions, remoteOptions } from '../command.ts';
import { engineChoice, openEngine } from '../open-engine.ts';
import { openModelOption } from '../open-model.ts';

const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

export const info: Command = {
  verb: 'info',
  summary: 'shape, family, points with widths, quantisation, engine and adapter, limits',
  usage: 'info --model M',
  options: ['model', ...engineOptions, ...remoteOptions],
  async run(options, output, signal) {
    const choice = engineChoice(options);
    const files = await openModelOption(options.needed('model'), output, signal, choice.runner);
    const engine = await openEngine(files, choice, null, output, signal);
    try {
      const { model } = engine;
      const tokenizer = files.tokenizer && { vocab: files.tokenizer.vocabSize, chatTemplate: files.tokenizer.hasChatTemplate };
      const { adapter, ...rest } = model;
      output.result({ name: files.name, ...rest, adapter: adapter.name, adapterKind: adapter.kind, features: adapter.features, tokenizer });
      const rows: [string, string][] = [
        ['model', `${files.name} (${model.family})`],
        ['layers', String(model.layers)],
        ['heads', `${model.heads} query, ${model.kvHeads} key/value, ${model.headDim} wide`],
        ['hidden', `${model.hidden}, intermediate ${model.intermediate}, vocabulary ${model.vocab}`],
        ['points', model.points.map(({ point, width }) => `${point} ${width}`).join(', ')],
        ['weights', `${mebibytes(model.memory.weights)}, quantisation ${model.quantization}, arithmetic ${model.precision}`],
        ['engine', `${model.engine} on ${adapter.name} (${adapter.kind})`],
        ['limits', `${model.limits.maxContext} tokens, ${model.limits.maxLanes} lanes`],
        ['tokenizer', tokenizer ? `${tokenizer.vocab} tokens${tokenizer.chatTemplate ? ', chat template' : ''}` : 'none'],
        ['identity', model.identity],
      ];
      output.text(rows.map(([name, value]) => `${name.padEnd(10)} ${value}\n`).join(''));
    } finally {
      await engine.dispose();
    }
  },
};
