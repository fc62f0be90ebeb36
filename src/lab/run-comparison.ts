import type { DataTable } from './data-table.ts';
import { firstDifference } from './divergence.ts';
import { laneName } from './experiment.ts';
import { formatNumber } from './format-number.ts';
import type { Receipt } from './receipt.ts';
import { laneText, type RunRecord } from './run-record.ts';

/** The same experiment on two models, told from what each run left: texts, how far they moved, receipts. */

/** A finished run with its receipt: what can be compared. */
export interface ReceiptedRun extends RunRecord {
  readonly receipt: Receipt;
}

export interface ComparedLane {
  readonly name: string;
  readonly factor: number;
  readonly text: string;
  readonly tokens: number;
  /** First token that differs from the unedited text of the same model; null where none does, and in the unedited lane. */
  readonly firstDifference: number | null;
  /** Nats a token; null where nothing was measured. In the unedited lane: how far steering would have moved it. */
  readonly meanKl: number | null;
  readonly largestKl: number | null;
}

export interface ComparedRun {
  readonly label: string;
  /** Engine and adapter in words. */
  readonly where: string;
  readonly lanes: readonly ComparedLane[];
  /** Tokens a second of all lanes together; null where it was too short to tell. */
  readonly rate: number | null;
}

export interface RunComparison {
  readonly sides: readonly [ComparedRun, ComparedRun];
  /** What has to be known to read the two together, one sentence each. */
  readonly notes: readonly string[];
  /** Whether prompt, sampling and length were the same. */
  readonly same: boolean;
}

const engineNames: Readonly<Record<string, string>> = { webgpu: 'WebGPU', onnx: 'ONNX Runtime', reference: 'reference engine' };

/** Where a receipt's run was computed. */
export function placeOfRun({ engine, model }: Receipt): string {
  const kept = model.quantization === 'q8' ? ', int8 weights' : model.quantization === 'q4' ? ', int4 weights' : '';
  const runner = model.place.kind === 'runner' ? ` at ${model.place.address}` : '';
  const software = engine.kind === 'software' ? ' (software GPU)' : '';
  return `${engineNames[engine.name] ?? engine.name}, ${engine.adapter}${software}${kept}${runner}`;
}

/** Whether two runs are of different models, or of the same in different places. */
export const ranElsewhere = (a: Receipt, b: Receipt): boolean =>
  a.model.identity !== b.model.identity ||
  a.model.quantization !== b.model.quantization ||
  JSON.stringify(a.model.place) !== JSON.stringify(b.model.place) ||
  a.engine.name !== b.engine.name;

function comparedRun({ lanes, receipt }: ReceiptedRun): ComparedRun {
  const ids = lanes.map((lane) => lane.tokens.map((token) => token.id));
  const { decodeMs, decodedTokens } = receipt.timing;
  return {
    label: receipt.model.label,
    where: placeOfRun(receipt),
    rate: decodeMs > 0 ? (decodedTokens / decodeMs) * 1000 : null,
    lanes: lanes.map((lane, index) => {
      const kl = lane.tokens.flatMap(({ shift }) => (shift ? [shift.kl] : []));
      return {
        name: laneName(index, lane.factor),
        factor: lane.factor,
        text: laneText(lane),
        tokens: lane.tokens.length,
        firstDifference: index === 0 ? null : firstDifference(ids[0], ids[index]),
        meanKl: kl.length === 0 ? null : kl.reduce((sum, value) => sum + value, 0) / kl.length,
        largestKl: kl.length === 0 ? null : Math.max(...kl),
      };
    }),
  };
}

const samePrompt = (a: ReceiptedRun, b: ReceiptedRun): boolean =>
  a.input && b.input ? JSON.stringify(a.input) === JSON.stringify(b.input) : String(a.receipt.prompt) === String(b.receipt.prompt);

/** @param before the run on the model that was left */
export function compareRuns(before: ReceiptedRun, now: ReceiptedRun): RunComparison {
  const [a, b] = [before.receipt, now.receipt];
  const notes: string[] = [];
  const prompt = samePrompt(before, now);
  const sampling = JSON.stringify(a.sampling) === JSON.stringify(b.sampling);
  if (!prompt) notes.push('The prompts differ.');
  if (!sampling) notes.push(a.sampling.seed === b.sampling.seed ? 'The sampling differs.' : 'The seeds differ.');
  if (a.maxTokens !== b.maxTokens) notes.push('They were allowed different lengths.');
  if (a.graph?.sha256 !== b.graph?.sha256)
    notes.push(
      a.graph && b.graph
        ? 'Each model was steered by a graph of its own; the strength of each is in units of that graph.'
        : `Only ${(a.graph ? a : b).model.label} was steered.`,
    );
  else if (a.graph) notes.push('Both were steered by the same graph.');
  const same = prompt && sampling && a.maxTokens === b.maxTokens;
  if (same && a.model.identity === b.model.identity) notes.push(sameWeights(before, now));
  return { sides: [comparedRun(before), comparedRun(now)], notes, same };
}

/** The same weights in two places should write the same. */
function sameWeights(before: ReceiptedRun, now: ReceiptedRun): string {
  const lanes = Math.min(before.lanes.length, now.lanes.length);
  for (let i = 0; i < lanes; i += 1) {
    const [a, b] = [before.lanes[i].tokens, now.lanes[i].tokens].map((tokens) => tokens.map(({ id }) => id));
    const at = firstDifference(a, b);
    if (at !== null)
      return `The weights are the same; ${laneName(i, now.lanes[i].factor)} differs from token ${at + 1} on (other arithmetic rounds otherwise).`;
  }
  return 'The weights are the same, and so is every token.';
}

const number = (value: number): string => formatNumber(value, 3);

/** One row a model and lane. */
export function comparisonTable({ sides, notes }: RunComparison): DataTable {
  return {
    name: 'two-models',
    caption: `The same run on ${sides[0].label} and on ${sides[1].label}. ${notes.join(' ')}`,
    columns: [
      { key: 'model', label: 'Model' },
      { key: 'where', label: 'Where' },
      { key: 'lane', label: 'Text' },
      { key: 'strength', label: 'Strength', write: number },
      { key: 'tokens', label: 'Tokens' },
      { key: 'differs_from', label: 'Differs from token' },
      { key: 'mean_kl', label: 'Mean KL, nats', write: number },
      { key: 'largest_kl', label: 'Largest KL', write: number },
      { key: 'text', label: 'What it wrote' },
    ],
    rows: sides.flatMap(({ label, where, lanes }) =>
      lanes.map((lane) => ({
        model: label,
        where,
        lane: lane.name,
        strength: lane.factor,
        tokens: lane.tokens,
        differs_from: lane.firstDifference === null ? null : lane.firstDifference + 1,
        mean_kl: lane.meanKl,
        largest_kl: lane.largestKl,
        text: lane.text,
      })),
    ),
  };
}
