import type { Engine, SequenceScore } from '../../src/engine/engine.ts';
import { graphHash } from '../../src/graph/hash.ts';
import { engineOptions, remoteOptions, type Command } from '../command.ts';
import { engineChoice, engineDocument, openEngine } from '../open-engine.ts';
import { openModelOption } from '../open-model.ts';
import type { Options } from '../options.ts';
import { jsonFloats, type Output } from '../output.ts';
import { noteUnmatched, readSequenceRequest, type SequenceRequest } from '../request-options.ts';
import { TensorFile } from '../tensor-file.ts';

interface Scored {
  readonly sequences: readonly SequenceScore[];
  readonly unmatched: Iterable<string>;
}

/** Logits of one sequence can be large, so with a file to fill they are taken sequence by sequence and written at once. */
async function score(
  engine: Engine,
  request: SequenceRequest,
  file: TensorFile | null,
  output: Output,
  signal: AbortSignal,
): Promise<Scored> {
  const { sequences, graph, factor } = request;
  const onProgress = (done: number, total: number): void => output.progress('scoring', done, total);
  if (!file) return engine.score({ sequences, graph, factor, signal, onProgress });
  const scored: SequenceScore[] = [];
  const unmatched: (readonly string[])[] = [];
  for (const [index, sequence] of sequences.entries()) {
    onProgress(index, sequences.length);
    const one = await engine.score({ sequences: [sequence], graph, factor, logits: true, signal });
    const [result] = one.sequences;
    if (result.logits) await file.add(`logits.${index}`, [sequence.ids.length, engine.model.vocab], result.logits);
    scored.push({ ...result, logits: null });
    unmatched.push(one.unmatched);
  }
  onProgress(sequences.length, sequences.length);
  // An edit is unmatched when no sequence has a token for it.
  return { sequences: scored, unmatched: unmatched[0].filter((id) => unmatched.every((ids) => ids.includes(id))) };
}

async function run(options: Options, output: Output, signal: AbortSignal): Promise<void> {
  const model = options.needed('model');
  const choice = engineChoice(options);
  const request = await readSequenceRequest(options);
  const files = await openModelOption(model, output, signal, choice.runner);
  const outPath = options.text('out');
  const file = outPath === null ? null : await TensorFile.create(outPath);
  try {
    const engine = await openEngine(files, choice, request.longest, output, signal);
    try {
      const { sequences, unmatched } = await score(engine, request, file, output, signal);
      await file?.finish({ identity: engine.model.identity });
      noteUnmatched(unmatched, output);
      output.result({
        ...engineDocument(engine, files),
        graph: request.graph && graphHash(request.graph.document),
        factor: request.graph && request.factor,
        out: outPath,
        sequences: sequences.map(({ logprobs, edited, kl, edits }, index) => ({
          ids: request.sequences[index].ids,
          logprobs: jsonFloats(logprobs),
          edited: edited && jsonFloats(edited),
          kl: kl && jsonFloats(kl),
          edits,
        })),
        unmatched: [...unmatched],
      });
      const mean = (values: ArrayLike<number>): string =>
        values.length === 0 ? '-' : (Array.from(values).reduce((sum, value) => sum + value, 0) / values.length).toFixed(4);
      output.text('sequence  tokens  mean logprob   edited       KL\n');
      sequences.forEach(({ logprobs, edited, kl }, index) => {
        const cells = [mean(logprobs).padStart(12), (edited ? mean(edited) : '').padStart(9), (kl ? mean(kl) : '').padStart(9)];
        output.text(`${String(index).padStart(8)}${String(request.sequences[index].ids.length).padStart(8)}  ${cells.join('')}\n`);
      });
    } finally {
      await engine.dispose();
    }
  } finally {
    await file?.discard();
  }
}

export const scoreCommand: Command = {
  verb: 'score',
  summary: 'log-probabilities of given token sequences, unedited and under a graph',
  usage: 'score --model M --tokens FILE [--graph G.json [--factor F]] [--out F.safetensors]',
  options: ['model', 'tokens', 'graph', 'factor', 'out', ...engineOptions, ...remoteOptions],
  run,
};
