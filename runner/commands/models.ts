import type { Command } from '../command.ts';
import { embeddedModel, embeddedModelFolder } from '../open-model.ts';

export const models: Command = {
  verb: 'models',
  summary: 'lists the models that can be named',
  usage: 'models',
  options: [],
  run(_options, output) {
    const folder = embeddedModelFolder();
    const rows = [{ name: embeddedModel, folder, ready: folder !== null }];
    output.result({ models: rows });
    for (const { name, ready } of rows) output.text(`${name.padEnd(24)} ${ready ? 'ready' : 'not built yet: npm run model'}\n`);
    output.text('Any other model is named by its folder (config.json, *.safetensors, tokenizer.json).\n');
    return Promise.resolve();
  },
};
