import type { ModelInfo } from '../engine/engine.ts';
import type { BoundGraph } from '../graph/document.ts';
import { graphHash } from '../graph/hash.ts';
import type { Resampling } from './estimate.ts';

/** What makes an evaluation repeatable, as plain data. */
export interface EvalReceipt {
  readonly tiller: string;
  /** When it was made, as the caller writes times. */
  readonly made: string;
  readonly model: {
    readonly identity: string;
    readonly family: string;
    readonly layers: number;
    readonly heads: number;
    readonly quantization: string;
    readonly precision: string;
  };
  readonly engine: {
    readonly name: string;
    readonly adapter: string;
    readonly kind: string;
    readonly subgroups: boolean;
  };
  /** Hashes of the graphs measured, by name. */
  readonly graphs: Readonly<Record<string, string>>;
  /** Hashes of the data, by what it was used for. */
  readonly data: Readonly<Record<string, string>>;
  readonly seeds: Readonly<Record<string, number>>;
  readonly bootstrap: { readonly seed: number; readonly resamples: number };
  readonly versions: Readonly<Record<string, string>>;
}

export function evalReceipt(parts: {
  readonly version: string;
  readonly made: string;
  readonly model: ModelInfo;
  readonly graphs: Readonly<Record<string, BoundGraph>>;
  readonly data: Readonly<Record<string, string>>;
  readonly seeds: Readonly<Record<string, number>>;
  readonly resampling: Resampling;
  readonly versions: Readonly<Record<string, string>>;
}): EvalReceipt {
  const { model } = parts;
  const graphs = Object.entries(parts.graphs).map(([name, { document }]) => [name, graphHash(document)] as const);
  return {
    tiller: parts.version,
    made: parts.made,
    model: {
      identity: model.identity,
      family: model.family,
      layers: model.layers,
      heads: model.heads,
      quantization: model.quantization,
      precision: model.precision,
    },
    engine: { name: model.engine, adapter: model.adapter.name, kind: model.adapter.kind, subgroups: model.subgroups },
    graphs: Object.fromEntries(graphs),
    data: parts.data,
    seeds: parts.seeds,
    bootstrap: { seed: parts.resampling.seed, resamples: parts.resampling.resamples },
    versions: parts.versions,
  };
}
