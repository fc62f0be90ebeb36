import { TillerError } from '../../errors/error.ts';
import type { ModelSpec } from '../../model/spec.ts';
import type { Connection } from './connection.ts';

/**
 * Directions towards a word in a runner's model, as model/word-direction.ts computes them from weights that are here.
 * @param ids tokens of the word
 * @returns layers x heads x headDim values
 * @throws runner/*, request/invalid, request/aborted
 */
export async function remoteWordDirections(
  connection: Connection,
  model: string,
  spec: Pick<ModelSpec, 'layers' | 'heads' | 'headDim'>,
  ids: readonly number[],
  signal?: AbortSignal,
): Promise<Float32Array> {
  const values = await connection.frames('wordDirections', { parameters: { model }, body: { ids }, signal });
  if (values instanceof Float32Array && values.length === spec.layers * spec.heads * spec.headDim) return values;
  throw new TillerError('runner/answer', { problem: 'directions of another size than the model has' });
}
