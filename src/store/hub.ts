import { TillerError } from '../errors/error.ts';
import type { FileAccess } from '../model/files.ts';
import { openUrl, type UrlOptions } from './url.ts';

export const DEFAULT_HUB = 'https://huggingface.co';

export interface HubOptions extends Omit<UrlOptions, 'name'> {
  /** Address of the hub or of a mirror with the same paths. @default DEFAULT_HUB */
  readonly hub?: string;
  /** Branch, tag or commit. @default 'main' */
  readonly revision?: string;
}

/** `owner/name`, as the hub allows them. */
export function isRepository(text: string): boolean {
  return /^[\w.-]{1,96}\/[\w.-]{1,96}$/.test(text) && !text.split('/').some((part) => /^\.+$/.test(part));
}

/** Files of a repository on the hub: `{hub}/{owner}/{name}/resolve/{revision}/{file}`. */
export function openHub(repository: string, options: HubOptions): FileAccess {
  if (!isRepository(repository))
    throw new TillerError('model/not-found', { place: repository, problem: 'it is not of the form owner/name' });
  const { hub = DEFAULT_HUB, revision = 'main', ...rest } = options;
  let base: URL;
  try {
    base = new URL(hub.endsWith('/') ? hub : `${hub}/`);
  } catch (cause) {
    throw new TillerError('request/invalid', { problem: `the hub's address "${hub}" is not an address` }, { cause });
  }
  if (base.protocol !== 'https:' && base.protocol !== 'http:')
    throw new TillerError('request/invalid', { problem: `the hub's address "${hub}" is not http or https` });
  return openUrl(new URL(`${repository}/resolve/${encodeURIComponent(revision)}/`, base).href, { ...rest, name: repository });
}
