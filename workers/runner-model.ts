import { Connection } from '../src/engine/remote/connection.ts';
import { createRemoteEngine } from '../src/engine/remote/remote-engine.ts';
import { openRemoteModel } from '../src/engine/remote/remote-model.ts';
import { remoteWordDirections } from '../src/engine/remote/word-directions.ts';
import { browserNetwork } from '../src/lab/browser-network.ts';
import { placeLabel, type ModelPlace } from '../src/lab/experiment.ts';
import type { OpenModel } from '../src/lab/model-access.ts';

/** A model of a runner: shape and tokenizer are here, weights and engine there. @throws runner/*, model/tokenizer, request/aborted */
export async function openRunnerModel(
  place: Extract<ModelPlace, { kind: 'runner' }>,
  token: string | null,
  signal: AbortSignal,
): Promise<OpenModel> {
  const { address, name } = place;
  const network = browserNetwork();
  const connection = new Connection({ address, token }, network);
  const files = await openRemoteModel(connection, name, signal);
  return {
    label: placeLabel(place),
    licence: null,
    files,
    remote: {
      address: connection.address,
      engine: (options) => createRemoteEngine({ address, token, model: name, ...network, ...options }),
      words: (ids, stop) => remoteWordDirections(connection, name, files.spec, ids, stop),
    },
  };
}
