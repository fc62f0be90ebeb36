import type { GenerateSummary, ModelInfo } from '../engine/engine.ts';
import type { BoundGraph } from '../graph/document.ts';
import { graphHash } from '../graph/hash.ts';
import type { PromptToken } from './engine-protocol.ts';
import type { ModelChoice, SamplingChoice } from './experiment.ts';

/** What makes a run repeatable, and what it gave. Plain data, downloadable beside every result. */
export interface Receipt {
  readonly tiller: string;
  readonly made: string;
  readonly model: {
    readonly label: string;
    readonly place: ModelChoice['place'];
    readonly identity: string;
    readonly family: string;
    readonly quantization: string;
    readonly precision: string;
  };
  readonly engine: { readonly name: ModelInfo['engine']; readonly adapter: string; readonly kind: string; readonly subgroups: boolean };
  readonly graph: { readonly sha256: string; readonly factors: readonly number[] } | null;
  readonly sampling: SamplingChoice;
  readonly maxTokens: number;
  readonly prompt: readonly number[];
  readonly lanes: readonly { readonly factor: number; readonly tokens: readonly number[]; readonly text: string }[];
  readonly edits: GenerateSummary['edits'];
  readonly unmatched: readonly string[];
  readonly stopped: GenerateSummary['stopped'];
  readonly timing: GenerateSummary['timing'];
}

export function makeReceipt(parts: {
  version: string;
  made: string;
  label: string;
  choice: ModelChoice;
  info: ModelInfo;
  graph: BoundGraph | null;
  sampling: SamplingChoice;
  maxTokens: number;
  prompt: readonly PromptToken[];
  lanes: readonly { factor: number; tokens: readonly { id: number; text: string }[] }[];
  summary: GenerateSummary;
}): Receipt {
  const { info, summary, lanes } = parts;
  return {
    tiller: parts.version,
    made: parts.made,
    model: {
      label: parts.label,
      place: parts.choice.place,
      identity: info.identity,
      family: info.family,
      quantization: info.quantization,
      precision: info.precision,
    },
    engine: { name: info.engine, adapter: info.adapter.name, kind: info.adapter.kind, subgroups: info.subgroups },
    graph: parts.graph && { sha256: graphHash(parts.graph.document), factors: lanes.map((lane) => lane.factor) },
    sampling: parts.sampling,
    maxTokens: parts.maxTokens,
    prompt: parts.prompt.map((token) => token.id),
    lanes: lanes.map((lane) => ({
      factor: lane.factor,
      tokens: lane.tokens.map((token) => token.id),
      text: lane.tokens.map((token) => token.text).join(''),
    })),
    edits: summary.edits,
    unmatched: summary.unmatched,
    stopped: summary.stopped,
    timing: summary.timing,
  };
}
