import { TillerError } from '../errors/error.ts';
import type { BoundGraph } from '../graph/document.ts';
import type { Fitted } from '../methods/method.ts';

/**
 * A graph from elsewhere as a fit: its edits in the order of the document are its places, the best first, all of them used.
 * @throws eval/setting where it has no edit
 */
export function graphFitted(graph: BoundGraph): Fitted {
  const ids = graph.document.nodes.flatMap((node) => ('edit' in node ? [node.id] : []));
  if (ids.length === 0) throw new TillerError('eval/setting', { problem: 'the graph has no edit' });
  return {
    graph,
    ranking: ids.map((id) => [id]),
    chosen: ids.length,
    report: {
      method: 'graph',
      settings: {},
      places: [],
      scoreName: '',
      notes: ['The places are the edits of the graph, in the order of the document.'],
      numbers: {},
    },
  };
}
