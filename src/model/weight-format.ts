import { TillerError } from '../errors/error.ts';
import type { FileAccess } from './files.ts';

export type WeightFormat = 'safetensors' | 'onnx' | 'gguf';

/** The file that a model's weights are read from. For safetensors `path` is the single file, or the first name looked for. */
export interface WeightPlace {
  readonly format: WeightFormat;
  readonly path: string;
}

const SAFETENSORS = ['model.safetensors', 'model.safetensors.index.json'];

/** Names of published ONNX exports, those that keep most of the weights first. */
const onnxNames = ['model', 'model_fp16', 'model_quantized', 'model_int8', 'model_uint8', 'model_q8', 'model_q4f16', 'model_q4'];
const ONNX = ['onnx/', ''].flatMap((folder) => onnxNames.map((name) => `${folder}${name}.onnx`));

/** The format that a file's name says; null for others. */
export function formatOfName(path: string): WeightFormat | null {
  const extension = /\.(safetensors|onnx|gguf)$/i.exec(path)?.[1].toLowerCase();
  return (extension as WeightFormat | undefined) ?? null;
}

/**
 * Where the weights of a folder are: safetensors, else an ONNX export, else a single GGUF file (or the first of its parts).
 * @throws model/not-found where there are several GGUF files
 */
export async function findWeights(files: FileAccess, signal?: AbortSignal): Promise<WeightPlace | null> {
  const first = async (paths: readonly string[]): Promise<string | null> => {
    for (const path of paths) if ((await files.size(path, signal)) !== null) return path;
    return null;
  };
  if ((await first(SAFETENSORS)) !== null) return { format: 'safetensors', path: SAFETENSORS[0] };
  const listed = await files.list?.();
  const onnx = await first(ONNX);
  if (onnx !== null) return { format: 'onnx', path: onnx };
  // An export under a name of its own, where it is the only one.
  const other = (listed ?? []).filter((name) => /\.onnx$/i.test(name));
  if (other.length === 1) return { format: 'onnx', path: other[0] };
  const ggufs = (listed ?? []).filter((name) => /\.gguf$/i.test(name) && !/-(?!00001)\d{5}-of-\d{5}\.gguf$/i.test(name));
  if (ggufs.length > 1) {
    throw new TillerError('model/not-found', { place: files.name, problem: `it has ${ggufs.length} GGUF files; name one of them` });
  }
  // A later part without the first: its reader says what is missing.
  const path = ggufs.at(0) ?? (listed ?? []).find((name) => /\.gguf$/i.test(name));
  return path === undefined ? null : { format: 'gguf', path };
}
