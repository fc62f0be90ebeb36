import { readControlVector } from '../../src/methods/exchange/control-vector.ts';
import { graphHash } from '../../src/graph/hash.ts';
import { writeGraph } from '../../src/graph/vectors.ts';
import type { Command } from '../command.ts';
import { readBytes } from '../files.ts';
import { writeWhole } from '../graph-output.ts';
import { openModelOption } from '../open-model.ts';
import { usage, type Options } from '../options.ts';
import type { Output } from '../output.ts';

async function run(options: Options, output: Output, signal: AbortSignal): Promise<void> {
  const [file] = options.words;
  if (file === undefined) throw usage('import needs a file: a GGUF control vector');
  const out = options.needed('out');
  const bytes = await readBytes(file);
  const { spec } = await openModelOption(options.needed('model'), output, signal);
  const { graph, notes } = readControlVector(bytes, spec, file);
  for (const note of notes) output.note(note);
  const stem = out.replace(/\.json$/i, '');
  const { json, safetensors } = writeGraph(graph);
  const written = [...(safetensors ? [`${stem}.safetensors`] : []), `${stem}.json`];
  // Vectors first: a document without them would be refused.
  if (safetensors) await writeWhole(`${stem}.safetensors`, safetensors);
  await writeWhole(`${stem}.json`, json);
  const { nodes } = graph.document;
  output.result({ graph: graphHash(graph.document), nodes: nodes.length, written, notes });
  output.text(`${nodes.length} edits; written: ${written.join(', ')}\n`);
}

export const importCommand: Command = {
  verb: 'import',
  summary: 'a graph from a GGUF control vector (repeng, llama.cpp): each direction is added to the output of its layer',
  usage: 'import FILE.gguf --model M --out G.json',
  options: ['model', 'out'],
  words: 1,
  run,
};
