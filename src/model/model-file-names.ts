import { TillerError } from '../errors/error.ts';
import type { FileAccess } from './files.ts';
import { readGgufFiles } from './gguf/gguf-files.ts';
import { onnxFileNames } from './onnx-weights/open-onnx.ts';
import { safetensorsFileNames } from './weight-files.ts';
import { findWeights, formatOfName } from './weight-format.ts';

const optional = ['generation_config.json', 'tokenizer.json', 'tokenizer_config.json', 'chat_template.jinja', 'chat_template.json'];

/**
 * Names of all files that a model consists of, found by asking for them: what has to be downloaded or kept so that `openModel` works
 * without the rest. The files with the weights come last; config.json comes first where the format needs one.
 * @param weights the weight file to take, where there are several or the place has no listing (a GGUF file on a server)
 * @throws model/not-found, model/file, network/failed
 */
export async function modelFileNames(files: FileAccess, signal?: AbortSignal, weights?: string): Promise<string[]> {
  const format = weights === undefined ? null : formatOfName(weights);
  const place = weights !== undefined && format !== null ? { format, path: weights } : await findWeights(files, signal);
  if (place === null) throw new TillerError('model/not-found', { place: files.name, problem: 'it has no weights of a known format' });
  if (place.format === 'gguf') return [...(await readGgufFiles(files, place.path, signal)).paths];
  if ((await files.size('config.json', signal)) === null)
    throw new TillerError('model/not-found', { place: files.name, problem: 'there is no config.json' });
  const names = ['config.json'];
  for (const name of optional) if ((await files.size(name, signal)) !== null) names.push(name);
  const stored = place.format === 'onnx' ? await onnxFileNames(files, place.path, signal) : await safetensorsFileNames(files, signal);
  return [...names, ...stored];
}
