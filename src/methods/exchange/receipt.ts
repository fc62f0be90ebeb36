import type { BoundGraph } from '../../graph/document.ts';
import { graphHash } from '../../graph/hash.ts';
import type { MethodReport, Settings } from '../method.ts';

/** What lies beside an exported file, so that it can be told what it is and made again. Plain JSON. */
export interface ExportReceipt {
  readonly receipt: 'tiller-vectors/1';
  /** `gguf control vector`, `pyvene-like`, `steering-vectors-like`. */
  readonly format: string;
  /** Identity of the weights the vectors were made for, where known. */
  readonly model: string | null;
  readonly shape: BoundGraph['document']['model'];
  /** SHA-256 of the graph that was exported (docs/graph.md). */
  readonly graph: string;
  readonly method: string | null;
  readonly settings: Settings | null;
  /** SHA-256 of the examples. */
  readonly data: string | null;
  readonly seed: number | null;
  /** Plain sentences: what the format cannot say and readers of the file must know. */
  readonly notes: readonly string[];
}

/** What the caller knows about the graph's making; everything is optional because graphs are also drawn by hand. */
export interface Provenance {
  readonly model?: string;
  readonly report?: Pick<MethodReport, 'method' | 'settings'>;
  readonly data?: string;
  readonly seed?: number;
}

export function exportReceipt(format: string, graph: BoundGraph, made: Provenance, notes: readonly string[]): ExportReceipt {
  return {
    receipt: 'tiller-vectors/1',
    format,
    model: made.model ?? null,
    shape: graph.document.model,
    graph: graphHash(graph.document),
    method: made.report?.method ?? null,
    settings: made.report?.settings ?? null,
    data: made.data ?? null,
    seed: made.seed ?? null,
    notes,
  };
}
