import type { CaptureArray } from '../../src/engine/engine.ts';
import { graphHash } from '../../src/graph/hash.ts';
import { engineOptions, remoteOptions, type Command } from '../command.ts';
import { engineChoice, engineDocument, openEngine } from '../open-engine.ts';
import { openModelOption } from '../open-model.ts';
import type { Options } from '../options.ts';
import type { Output } from '../output.ts';
import { parseAt, parsePoints } from '../points.ts';
import { noteUnmatched, readSequenceRequest } from '../request-options.ts';
import { TensorFile } from '../tensor-file.ts';

/** `z.3.0` is point z of layer 3 in sequence 0, `embed.0` a point without a layer. */
const tensorName = ({ point, layer }: CaptureArray, sequence: number): string =>
  layer < 0 ? `${point}.${sequence}` : `${point}.${layer}.${sequence}`;

async function run(options: Options, output: Output, signal: AbortSignal): Promise<void> {
  const model = options.needed('model');
  const outPath = options.needed('out');
  const pointText = options.needed('points');
  const choice = engineChoice(options);
  const at = parseAt(options.text('at') ?? 'all');
  const { sequences, graph, factor, longest } = await readSequenceRequest(options);
  const files = await openModelOption(model, output, signal, choice.runner);
  const points = parsePoints(pointText, files.spec.layers);
  const file = await TensorFile.create(outPath);
  try {
    const engine = await openEngine(files, choice, longest, output, signal);
    try {
      const taken: { ids: readonly number[]; positions: readonly number[]; edits: Readonly<Record<string, number>> }[] = [];
      const unmatched: (readonly string[])[] = [];
      // One sequence at a time: what one leaves in memory is written before the next begins.
      for (const [index, sequence] of sequences.entries()) {
        output.progress('capturing', index, sequences.length);
        const { arrays, edits, unmatched: idle } = await engine.capture({ sequences: [sequence], points, at, graph, factor, signal });
        for (const array of arrays) await file.add(tensorName(array, index), [array.positions.length, array.width], array.data);
        const positions = arrays.at(0)?.positions ?? [];
        if (positions.length === 0) output.note(`0 tokens of sequence ${index} matched --at`);
        taken.push({ ids: sequence.ids, positions, edits: edits[0] });
        unmatched.push(idle);
      }
      output.progress('capturing', sequences.length, sequences.length);
      await file.finish({ identity: engine.model.identity, positions: JSON.stringify(taken.map(({ positions }) => positions)) });
      const idle = unmatched[0].filter((id) => unmatched.every((ids) => ids.includes(id)));
      noteUnmatched(idle, output);
      const arrays = file.tensors.map(({ name, shape }) => ({ name, shape }));
      output.result({
        ...engineDocument(engine, files),
        graph: graph && graphHash(graph.document),
        factor: graph && factor,
        out: outPath,
        arrays,
        sequences: taken,
        unmatched: idle,
      });
      output.text(`${arrays.length} arrays written to ${outPath}\n`);
    } finally {
      await engine.dispose();
    }
  } finally {
    await file.discard();
  }
}

export const captureCommand: Command = {
  verb: 'capture',
  summary: 'activations at named points, written as safetensors: POINT.LAYER.N (tokens x width) for sequence N, POINT.N without a layer',
  usage: 'capture --model M --tokens FILE --points z,resid_post [--at all or last] [--graph G.json [--factor F]] --out F.safetensors',
  options: ['model', 'tokens', 'points', 'at', 'graph', 'factor', 'out', ...engineOptions, ...remoteOptions],
  run,
};
