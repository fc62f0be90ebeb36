import * as v from 'valibot';
import { TillerError } from '../errors/error.ts';
import type { FileHash } from './file-hash.ts';
import { checkRepository, gated, hubBase, hubHeaders, type HubAccess } from './hub.ts';
import { networkFailed, politeFetch } from './polite-fetch.ts';

export interface HubFile {
  readonly path: string;
  readonly bytes: number;
  readonly hash: FileHash;
}

/** What a repository has at one commit. */
export interface HubListing {
  readonly repository: string;
  readonly revision: string;
  /** Files are read at this commit, whatever the branch does meanwhile. */
  readonly commit: string;
  readonly gated: boolean;
  readonly private: boolean;
  readonly licence: string | null;
  readonly files: readonly HubFile[];
}

const MAX_REPLY = 16 * 2 ** 20;
const MAX_PAGES = 200;
const MAX_FILES = 50_000;

const commitPattern = v.pipe(v.string(), v.regex(/^[0-9a-f]{40}$/));

const revisionSchema = v.object({
  sha: commitPattern,
  gated: v.optional(v.union([v.boolean(), v.string()]), false),
  private: v.optional(v.boolean(), false),
  cardData: v.optional(v.nullable(v.object({ license: v.optional(v.nullable(v.unknown())) }))),
});

const entrySchema = v.object({
  type: v.string(),
  path: v.pipe(v.string(), v.maxLength(1024)),
  size: v.pipe(v.number(), v.integer(), v.minValue(0)),
  oid: v.string(),
  lfs: v.optional(v.nullable(v.object({ oid: v.string(), size: v.pipe(v.number(), v.integer(), v.minValue(0)) }))),
});

/** A path inside the repository: plain names and subfolders. */
const isPlainPath = (path: string): boolean =>
  path.split('/').every((part) => part !== '' && part !== '.' && part !== '..') &&
  ![...path].some((character) => character === '\\' || character < ' ');

/** Address of the next page, from a Link header; null on the last. */
export function nextPage(link: string | null): string | null {
  for (const part of (link ?? '').split(/,\s*(?=<)/)) {
    const match = /^\s*<([^>]*)>\s*(.*)$/.exec(part);
    if (match && /(^|;)\s*rel="?next"?\s*(;|$)/.test(match[2])) return match[1];
  }
  return null;
}

/** JSON of a reply, counted while it comes. */
async function jsonOf(url: string, response: Response): Promise<unknown> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  const reader = response.body?.getReader();
  while (reader) {
    const { done, value } = await reader.read();
    if (done) break;
    length += value.length;
    if (length > MAX_REPLY) {
      await reader.cancel();
      throw networkFailed(url, `the reply has more than ${MAX_REPLY} bytes`);
    }
    pieces.push(value);
  }
  const text = await new Blob(pieces as Uint8Array<ArrayBuffer>[]).text();
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw networkFailed(url, 'the reply is not JSON: this is no hub, or a network asks to log in first');
  }
}

/** Says what a refusal means. The hub tells in a header whether a repository is gated or not there at all. */
function refused(url: string, repository: string, response: Response, access: HubAccess): TillerError {
  const { status } = response;
  const code = response.headers.get('x-error-code');
  if (code === 'RevisionNotFound')
    return new TillerError('model/not-found', { place: repository, problem: 'the hub has no such revision of it' });
  if (status === 404 || code === 'RepoNotFound')
    return new TillerError('model/not-found', {
      place: repository,
      problem: access.token
        ? 'the hub has no such repository, or does not show it to you'
        : 'the hub has no such repository, or only for people with a token',
    });
  if (status === 401 || status === 403) return gated(repository, access, status);
  return networkFailed(url, `the server answered ${status}`);
}

/**
 * The files of a repository with their sizes and hashes, at the commit that a revision stands for now.
 * @param revision branch, tag or commit
 * @throws model/not-found, hub/gated, network/failed, request/aborted
 */
export async function listHub(repository: string, revision: string, access: HubAccess, signal?: AbortSignal): Promise<HubListing> {
  checkRepository(repository);
  const base = hubBase(access);
  const options = { ...access, headers: hubHeaders(access) };
  const get = async (url: string): Promise<{ readonly value: unknown; readonly response: Response }> => {
    const response = await politeFetch(url, { signal }, options);
    if (!response.ok) {
      await response.body?.cancel();
      throw refused(url, repository, response, access);
    }
    return { value: await jsonOf(url, response), response };
  };

  const about = new URL(`api/models/${repository}/revision/${encodeURIComponent(revision)}`, base).href;
  const info = v.safeParse(revisionSchema, (await get(about)).value);
  if (!info.success) throw networkFailed(about, 'the reply names no commit: this is no hub');
  const { sha: commit, cardData } = info.output;

  const files: HubFile[] = [];
  let url = new URL(`api/models/${repository}/tree/${commit}?recursive=1`, base).href;
  for (let page = 0; ; page++) {
    const { value, response } = await get(url);
    const entries = v.safeParse(v.array(entrySchema), value);
    if (!entries.success) throw networkFailed(url, 'the listing has another form than expected');
    for (const entry of entries.output) {
      if (entry.type !== 'file') continue;
      files.push(fileOf(entry, url));
      if (files.length > MAX_FILES) throw networkFailed(url, `it lists more than ${MAX_FILES} files`);
    }
    const next = nextPage(response.headers.get('link'));
    if (next === null) break;
    const address = new URL(next, url);
    // The token goes with the request: never to another host.
    if (address.origin !== base.origin) throw networkFailed(url, `the listing goes on at another host, ${address.host}`);
    if (page + 1 >= MAX_PAGES) throw networkFailed(url, `the listing has more than ${MAX_PAGES} pages`);
    url = address.href;
  }
  return {
    repository,
    revision,
    commit,
    gated: info.output.gated !== false,
    private: info.output.private,
    licence: typeof cardData?.license === 'string' ? cardData.license : null,
    files,
  };
}

function fileOf({ path, size, oid, lfs }: v.InferOutput<typeof entrySchema>, url: string): HubFile {
  if (!isPlainPath(path)) throw networkFailed(url, `it lists a file that lies outside of the repository: "${path.slice(0, 200)}"`);
  const hash: FileHash = lfs ? { kind: 'sha256', hex: lfs.oid.toLowerCase() } : { kind: 'git-sha1', hex: oid.toLowerCase() };
  if (!/^[0-9a-f]+$/.test(hash.hex) || hash.hex.length !== (lfs ? 64 : 40)) throw networkFailed(url, `it lists ${path} without a hash`);
  return { path, bytes: lfs?.size ?? size, hash };
}
