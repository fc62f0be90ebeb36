/** Why a graph, or a part of it, cannot run, and what to do about it. */
export interface Refusal {
  readonly code: 'graph/refused' | 'graph/model-mismatch';
  /** Node id, or '' when the whole graph is meant. */
  readonly node: string;
  readonly reason: string;
  readonly remedy: string;
}
