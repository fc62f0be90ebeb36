import { TillerError } from '../errors/error.ts';
import type { FileAccess } from '../model/files.ts';
import type { FetchOptions } from './polite-fetch.ts';
import { openUrl, type UrlOptions } from './url.ts';

export const DEFAULT_HUB = 'https://huggingface.co';

/** How a hub is reached, and as whom. */
export interface HubAccess extends Omit<FetchOptions, 'headers'> {
  /** Address of the hub or of a mirror with the same paths. @default DEFAULT_HUB */
  readonly hub?: string;
  /** Access token that a person gave; sent to this hub and to nobody else. */
  readonly token?: string | null;
}

/** `owner/name`, as the hub allows them. */
export function isRepository(text: string): boolean {
  return /^[\w.-]{1,96}\/[\w.-]{1,96}$/.test(text) && !text.split('/').some((part) => /^\.+$/.test(part));
}

/** The hub's address with a slash at the end. @throws request/invalid */
export function hubBase({ hub = DEFAULT_HUB }: HubAccess): URL {
  let base: URL;
  try {
    base = new URL(hub.endsWith('/') ? hub : `${hub}/`);
  } catch (cause) {
    throw new TillerError('request/invalid', { problem: `the hub's address "${hub}" is not an address` }, { cause });
  }
  if (base.protocol !== 'https:' && base.protocol !== 'http:')
    throw new TillerError('request/invalid', { problem: `the hub's address "${hub}" is not http or https` });
  return base;
}

export function checkRepository(repository: string): void {
  if (!isRepository(repository))
    throw new TillerError('model/not-found', { place: repository, problem: 'it is not of the form owner/name' });
}

/** Header of requests to the hub itself. A token that could not be one is refused instead of sent. @throws request/invalid */
export function hubHeaders({ token }: HubAccess): Readonly<Record<string, string>> {
  if (!token) return {};
  if (!/^[\x21-\x7e]{1,512}$/.test(token))
    throw new TillerError('request/invalid', { problem: 'the access token has characters that no token has' });
  return { authorization: `Bearer ${token}` };
}

/** What a refusal of the hub means for a person. @param status 401 or 403 */
export function gated(repository: string, access: HubAccess, status: number): TillerError {
  const problem =
    status === 401
      ? access.token
        ? 'the hub does not know the token'
        : 'the hub asks for an access token'
      : access.token
        ? 'the terms were not accepted with this token’s account, or the token may not read it'
        : 'the hub refuses without a token';
  return new TillerError('hub/gated', { repository, problem, page: new URL(repository, hubBase(access)).href });
}

/**
 * Files of a repository on the hub: `{hub}/{owner}/{name}/resolve/{revision}/{file}`.
 * @param revision branch, tag or commit
 */
export function openHub(repository: string, revision: string, access: HubAccess, sizes?: UrlOptions['sizes']): FileAccess {
  checkRepository(repository);
  const address = new URL(`${repository}/resolve/${encodeURIComponent(revision)}/`, hubBase(access)).href;
  const { fetch, wait, attempts } = access;
  const refused = (status: number): TillerError => gated(repository, access, status);
  return openUrl(address, { fetch, wait, attempts, headers: hubHeaders(access), name: repository, sizes, refused });
}
