import { TillerError } from '../errors/error.ts';
import type { FileAccess } from '../model/files.ts';
import { formatOfName } from '../model/weight-format.ts';
import { modelFileNames } from '../model/model-file-names.ts';
import type { PlannedDownload } from './hub-plan.ts';
import type { PlannedFile } from './model-folder.ts';
import { openUrl, type UrlOptions } from './url.ts';

/** The folder and, where the address names one, the file with the weights. */
interface AddressParts {
  readonly base: string;
  readonly weights: string | null;
}

/** `https://…/folder/` or `https://…/folder/model.gguf`. A query belongs to the file and is not carried over. @throws request/invalid */
export function addressParts(address: string): AddressParts {
  let url: URL;
  try {
    url = new URL(address);
  } catch (cause) {
    throw new TillerError('request/invalid', { problem: `"${address.slice(0, 200)}" is not an address` }, { cause });
  }
  if (url.protocol !== 'https:' && url.protocol !== 'http:')
    throw new TillerError('request/invalid', { problem: `"${address.slice(0, 200)}" is not http or https` });
  [url.search, url.hash] = ['', ''];
  const name = decodeURIComponent(url.pathname.slice(url.pathname.lastIndexOf('/') + 1));
  if (formatOfName(name) === null) return { base: url.href.endsWith('/') ? url.href : `${url.href}/`, weights: null };
  return { base: new URL('./', url).href, weights: name };
}

/** An ONNX file keeps config.json beside it or, as exports are published, one folder up. */
async function openAddress(
  address: string,
  options: UrlOptions,
  signal?: AbortSignal,
): Promise<{ source: FileAccess; weights: string | null }> {
  const { base, weights } = addressParts(address);
  const source = openUrl(base, options);
  if (weights === null || formatOfName(weights) !== 'onnx' || (await source.size('config.json', signal)) !== null)
    return { source, weights };
  const above = new URL('../', base).href;
  const folder = decodeURIComponent(base.slice(above.length).replace(/\/$/, ''));
  const upper = openUrl(above, options);
  return (await upper.size('config.json', signal)) === null ? { source, weights } : { source: upper, weights: `${folder}/${weights}` };
}

/**
 * What a model at an address consists of, found by asking for files: servers have no listings and no hashes, but tags.
 * @throws request/invalid, model/not-found, model/file, network/failed, request/aborted
 */
export async function planAddress(
  address: string,
  label: string,
  place: unknown,
  options: UrlOptions,
  signal: AbortSignal,
): Promise<PlannedDownload> {
  const { source, weights } = await openAddress(address, options, signal);
  const files = await plannedFiles(source, await modelFileNames(source, signal, weights ?? undefined), signal);
  return { plan: { label, place, origin: null, weights: weightsOf(weights), files }, source, notes: [] };
}

/** Weights that have to be named when the model is opened: a folder's safetensors are found by themselves. */
export const weightsOf = (path: string | null): string | null => (path !== null && formatOfName(path) !== 'safetensors' ? path : null);

/** Sizes and tags of files. @throws model/not-found, network/failed */
export async function plannedFiles(source: FileAccess, names: readonly string[], signal: AbortSignal): Promise<PlannedFile[]> {
  const files: PlannedFile[] = [];
  for (const name of names) {
    const bytes = await source.size(name, signal);
    if (bytes === null) throw new TillerError('model/not-found', { place: source.name, problem: `${name} is not there` });
    files.push({ name, bytes, expected: null, tag: (await source.tag?.(name, signal)) ?? null });
  }
  return files;
}
