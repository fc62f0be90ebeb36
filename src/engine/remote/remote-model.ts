import { TillerError } from '../../errors/error.ts';
import type { ModelFiles } from '../../model/model.ts';
import type { ModelSpec } from '../../model/spec.ts';
import { createTokenizer } from '../../model/tokenizer.ts';
import type { Quantization } from '../../model/weights.ts';
import type { Connection } from './connection.ts';
import { description, tokenizerAnswer } from './documents.ts';

/**
 * A model of a runner as everything but its weights: shape and tokenizer, so that text is encoded and graphs are checked here with no other
 * source.
 * @throws runner/*, model/tokenizer
 */
export async function openRemoteModel(
  connection: Connection,
  model: string,
  signal?: AbortSignal,
): Promise<ModelFiles & { readonly quantization: Quantization }> {
  const parameters = { model };
  const described = await connection.ask('description', description, { parameters, signal });
  const parts = described.tokenizer ? await connection.ask('tokenizer', tokenizerAnswer, { parameters, signal }) : null;
  const read = (): Promise<never> => Promise.reject(new TillerError('internal', { problem: 'the weights of a runner stay there' }));
  return {
    name: described.name,
    spec: described.spec as unknown as ModelSpec,
    source: { tensors: new Map(), identity: described.identity, read },
    tokenizer: parts && createTokenizer(parts.json, parts.config),
    fingerprint: null,
    weightBytes: described.weightBytes,
    stored: described.stored,
    suggested: described.quantization,
    quantization: described.quantization,
    notes: described.notes,
  };
}
