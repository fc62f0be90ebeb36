import { DEFAULT_HUB, isRepository } from './hub.ts';

/** A model of a hub as people write it: `owner/name`, `owner/name@revision`, `owner/name:file`, or an address of the hub's pages. */
export interface HubName {
  readonly repository: string;
  /** Branch, tag or commit. */
  readonly revision: string;
  /** The weights to take: a file's path or name, or a kind such as `Q4_K_M` or `q4f16`; null for the usual choice. */
  readonly file: string | null;
}

export const DEFAULT_REVISION = 'main';

/** Null for what names no repository. @param hub whose addresses are understood */
export function parseHubName(text: string, hub = DEFAULT_HUB): HubName | null {
  return parseShort(text.trim()) ?? parseAddress(text.trim(), hub);
}

function parseShort(text: string): HubName | null {
  const match = /^([\w.-]+\/[\w.-]+)(?:@([^:\s]+))?(?::(\S+))?$/.exec(text);
  return match && isRepository(match[1]) ? { repository: match[1], revision: match[2] ?? DEFAULT_REVISION, file: match[3] ?? null } : null;
}

/** `{hub}/owner/name`, `…/tree/main`, `…/blob/main/model.gguf`, `…/resolve/main/onnx/model_q4.onnx?download=true`. */
function parseAddress(text: string, hub: string): HubName | null {
  const [url, base] = [urlOf(text), urlOf(hub.endsWith('/') ? hub : `${hub}/`)];
  if (!url || !base) return null;
  if (url.origin !== base.origin || !url.pathname.startsWith(base.pathname)) return null;
  const parts = url.pathname.slice(base.pathname.length).split('/').filter((part) => part !== '').map(decoded); // prettier-ignore
  const [owner, name, kind, revision, ...path] = parts;
  const repository = `${owner}/${name}`;
  if (!isRepository(repository)) return null;
  if (parts.length === 2) return { repository, revision: DEFAULT_REVISION, file: null };
  if (!['tree', 'blob', 'resolve'].includes(kind) || revision === undefined) return null;
  const file = path.join('/');
  return { repository, revision, file: kind === 'tree' || file === '' ? null : file };
}

const urlOf = (text: string): URL | null => (URL.canParse(text) ? new URL(text) : null);

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** The short form, which `parseHubName` reads back. */
export const hubNameText = ({ repository, revision, file }: HubName): string =>
  `${repository}${revision === DEFAULT_REVISION ? '' : `@${revision}`}${file === null ? '' : `:${file}`}`;
