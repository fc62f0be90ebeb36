import { TillerError } from '../../errors/error.ts';
import type { FileAccess } from '../files.ts';
import type { ModelSpec } from '../spec.ts';
import type { WeightSource } from '../weights.ts';

export interface OnnxWeights {
  readonly source: WeightSource;
  readonly bytes: number;
  readonly notes: readonly string[];
  readonly types: readonly string[];
}

export async function openOnnxWeights(_files: FileAccess, path: string, _spec: ModelSpec, _signal?: AbortSignal): Promise<OnnxWeights> {
  throw new TillerError('model/file', { file: path, problem: 'ONNX files are not read yet' });
}
