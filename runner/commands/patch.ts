import { isWholeStream, patchGraph, patchStudy, patchablePoints } from '../../src/evals/patch-study.ts';
import { patchTokens, type PatchTexts, type PatchTokens } from '../../src/evals/patch-texts.ts';
import { unitKey } from '../../src/evals/unit-store.ts';
import type { Selector } from '../../src/graph/document.ts';
import { graphHash } from '../../src/graph/hash.ts';
import { pointRow, type PointName } from '../../src/graph/points.ts';
import { compileSelector } from '../../src/graph/selector.ts';
import { engineOptions, remoteOptions, type Command } from '../command.ts';
import { table } from '../estimates.ts';
import { writeFitFiles } from '../graph-output.ts';
import { wrapped } from '../help.ts';
import { engineChoice, engineDocument, openEngine } from '../open-engine.ts';
import { openModelOption } from '../open-model.ts';
import { usage, type Options } from '../options.ts';
import type { Output } from '../output.ts';
import { parseAt } from '../points.ts';
import { tokenizerOf } from '../prompts.ts';
import { withUnits } from '../results.ts';

const rowsShown = 12;
const defaultCount = 4;

function readPoints(text: string): PointName[] {
  const names = text.split(',').map((name) => name.trim());
  return [...new Set(names)].map((name) => {
    const point = patchablePoints.find((known) => known === name);
    if (point === undefined) throw usage(`--points has "${name}"; whole layers are patched at ${patchablePoints.join(', ')}`);
    return point;
  });
}

/** Positions of the prompt that a selector takes; `all` and `last` stay words. @throws usage */
function positionsOf(at: Selector, { clean }: PatchTokens): 'all' | 'last' | number[] {
  if (at === 'all' || at === 'last') return at;
  const selector = compileSelector(at);
  const positions = clean.flatMap((id, position) =>
    selector.selects({ position, promptLength: clean.length, id, role: null }) ? [position] : [],
  );
  if (positions.length === 0) throw usage('--at takes no token of the prompts');
  return positions;
}

const shown = (text: string): string => JSON.stringify(text);

async function run(options: Options, output: Output, signal: AbortSignal): Promise<void> {
  const model = options.needed('model');
  const choice = engineChoice(options);
  const texts: PatchTexts = {
    clean: options.needed('clean'),
    corrupted: options.needed('corrupted'),
    wanted: options.needed('wanted'),
    unwanted: options.needed('unwanted'),
  };
  const points = readPoints(options.text('points') ?? 'z');
  const at = parseAt(options.text('at') ?? 'all');
  const out = options.text('out');
  const count = options.integer('count', 1);
  if (count !== undefined && out === null) throw usage('--count says how many places the graph of --out takes; give --out');
  const files = await openModelOption(model, output, signal, choice.runner);
  const tokenizer = tokenizerOf(files);
  const tokens = patchTokens(texts, tokenizer);
  const positions = positionsOf(at, tokens);
  const longest = Math.max(tokens.clean.length, tokens.corrupted.length) + Math.max(tokens.wanted.length, tokens.unwanted.length);
  const engine = await openEngine(files, choice, longest, output, signal);
  try {
    const { clean, corrupted, wanted, unwanted } = tokens;
    const data = unitKey({ clean: [...clean], corrupted: [...corrupted], wanted: [...wanted], unwanted: [...unwanted] });
    const study = await withUnits(options, engine, data, (store) =>
      patchStudy({ ...tokens, positions }, points, {
        engine,
        store,
        signal,
        piece: (id) => tokenizer.piece(id),
        onProgress: ({ done, total }) => output.progress('patching layers', done, total),
      }),
    );
    const [first] = study.points;
    const taken = first.places.slice(0, count ?? defaultCount).map(({ layer, head }) => ({ point: first.point, layer, head }));
    const graph = out === null ? null : await patchGraph(clean, study.positions, taken, { engine, signal });
    const document = {
      ...engineDocument(engine, files),
      tokens,
      positions: study.positions,
      clean: study.clean,
      corrupted: study.corrupted,
      points: study.points,
      ...(graph && { graph: graphHash(graph.document), taken }),
    };
    const written =
      out === null || graph === null
        ? []
        : await writeFitFiles(out, graph, document, [], {
            model: engine.model.identity,
            report: { method: 'patching', settings: {} },
            data,
            seed: 0,
          });
    if (points.some((point) => isWholeStream(point, study.positions, tokens)))
      output.note(
        'the whole stream at every differing position is the clean run itself: resid_pre, resid_mid and resid_post say something with --at last or chosen positions',
      );
    output.result({ ...document, written });
    const pieces = (ids: readonly number[]): string => ids.map((id) => shown(tokenizer.piece(id))).join(' ');
    output.text(`clean      ${pieces(clean)}\ncorrupted  ${pieces(corrupted)}\n`);
    output.text(`positions  ${study.positions.join(', ')} of 0 to ${clean.length - 1}; those before are the same in both\n`);
    output.text(
      `log p(${shown(texts.wanted)}) - log p(${shown(texts.unwanted)}): clean ${study.clean.toFixed(3)}, corrupted ${study.corrupted.toFixed(3)} nats\n`,
    );
    for (const { point, places } of study.points) {
      output.text(`\n${point}: share of the difference that comes back\n`);
      const heads = places[0].head !== undefined;
      output.text(
        table([
          ['layer', ...(heads ? ['head'] : []), 'share', 'difference'],
          ...places
            .slice(0, rowsShown)
            .map(({ layer, head, share, difference }) => [
              String(layer),
              ...(heads ? [String(head)] : []),
              share.toFixed(3),
              difference.toFixed(3),
            ]),
        ]),
      );
      if (places.length > rowsShown) output.text(`${places.length - rowsShown} more places are in --json\n`);
    }
    for (const file of written) output.text(`wrote ${file}\n`);
  } finally {
    await engine.dispose();
  }
}

export const patchCommand: Command = {
  verb: 'patch',
  summary: 'activation patching: which heads or layers bring the answer of a clean prompt back into a corrupted one',
  usage:
    'patch --model M --clean TEXT --corrupted TEXT --wanted " Mary" --unwanted " John" [--points z] [--at all|last|SELECTOR] [--out G.json]',
  options: [
    'model',
    'clean',
    'corrupted',
    'wanted',
    'unwanted',
    'points',
    'at',
    'out',
    'count',
    'results',
    ...engineOptions,
    ...remoteOptions,
  ],
  more: () =>
    wrapped(
      `Of every place (--points: z for heads; whole layers at ${patchablePoints.filter((point) => pointRow(point).heads === null).join(', ')}) the clean activation is put into the corrupted run, and the table says what share of the difference log p(wanted) - log p(unwanted) comes back: 0 as corrupted, 1 as clean, below 0 or above 1 where it goes beyond.`,
      0,
    ),
  run,
};
