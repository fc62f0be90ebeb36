import { writeGraph } from '../graph/vectors.ts';
import { writeControlVector } from '../methods/exchange/control-vector.ts';
import { writePyvene, writeSteeringVectors } from '../methods/exchange/python-json.ts';
import { TillerError } from '../errors/error.ts';
import type { Provenance } from '../methods/exchange/receipt.ts';
import type { FitResult } from './fit-result.ts';

export interface FitFile {
  readonly name: string;
  readonly content: BlobPart;
  readonly type: string;
}

/** A way to save what was fitted: words for the button, and its files. */
export interface FitExport {
  readonly title: string;
  readonly hint: string;
  /** @throws vectors/export where the format cannot say what the graph does */
  files(result: FitResult): readonly FitFile[];
}

const json = (name: string, value: unknown): FitFile => ({
  name,
  content: `${JSON.stringify(value, null, 2)}\n`,
  type: 'application/json',
});
const provenance = ({ outcome, set, identity }: FitResult): Provenance => ({
  model: identity,
  report: outcome.report.method,
  data: set.sha256,
  seed: outcome.report.recipe.seed,
});

export const fitExports: readonly FitExport[] = [
  {
    title: 'Graph',
    hint: 'JSON, with its vectors as safetensors: for this page, for the command line',
    files({ outcome }) {
      const { json: text, safetensors } = writeGraph(outcome.graph);
      return [
        { name: 'graph.json', content: text, type: 'application/json' },
        ...(safetensors ? [{ name: 'graph.safetensors', content: new Uint8Array(safetensors), type: 'application/octet-stream' }] : []),
      ];
    },
  },
  { title: 'Report', hint: 'Everything that was measured, as JSON', files: ({ outcome }) => [json('report.json', outcome.report)] },
  {
    title: 'Receipt',
    hint: 'What makes the result repeatable: weights, data, seeds, versions',
    files: ({ outcome }) => [json('receipt.json', outcome.report.receipt)],
  },
  {
    title: 'GGUF',
    hint: 'Control vector for llama.cpp and repeng; only for vectors added to whole layers',
    files(result) {
      const { bytes, receipt } = writeControlVector(result.outcome.graph, provenance(result));
      return [
        { name: 'vector.gguf', content: new Uint8Array(bytes), type: 'application/octet-stream' },
        json('vector.gguf.receipt.json', receipt),
      ];
    },
  },
  {
    title: 'pyvene',
    hint: 'JSON in the manner of pyvene',
    files(result) {
      const written = writePyvene(result.outcome.graph, provenance(result));
      return [{ name: 'pyvene.json', content: written.json, type: 'application/json' }];
    },
  },
  {
    title: 'steering-vectors',
    hint: 'JSON in the manner of the steering-vectors package',
    files(result) {
      const written = writeSteeringVectors(result.outcome.graph, provenance(result));
      return [{ name: 'steering-vectors.json', content: written.json, type: 'application/json' }];
    },
  },
];

/** Why an export cannot be made of this result; null where it can. */
export function exportProblem(row: FitExport, result: FitResult): string | null {
  try {
    row.files(result);
    return null;
  } catch (cause) {
    if (cause instanceof TillerError) return cause.message;
    throw cause;
  }
}
