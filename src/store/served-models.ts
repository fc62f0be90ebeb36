import * as v from 'valibot';
import type { PlannedDownload } from './hub-plan.ts';
import { networkFailed, politeFetch, type FetchOptions } from './polite-fetch.ts';
import { openUrl } from './url.ts';

/** Models that lie next to the page: `models/index.json` lists them, `models/NAME/` has their files. */

const plainPath = v.pipe(
  v.string(),
  v.maxLength(300),
  v.check((path) => path.split('/').every((part) => /^[\w.-]+$/.test(part) && !/^\.+$/.test(part)), 'a path inside the folder'),
);

const servedSchema = v.object({
  /** Folder below models/. */
  name: v.pipe(v.string(), v.regex(/^[\w.-]{1,100}$/)),
  title: v.string(),
  licence: v.nullable(v.string()),
  /** File with the weights, where it has to be named. */
  weights: v.nullable(plainPath),
  files: v.pipe(
    v.array(
      v.object({
        path: plainPath,
        bytes: v.pipe(v.number(), v.integer(), v.minValue(0)),
        /** Null where it was not computed. */
        sha256: v.nullable(v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/))),
      }),
    ),
    v.maxLength(5000),
  ),
});

const indexSchema = v.object({ models: v.pipe(v.array(servedSchema), v.maxLength(1000)) });

export type ServedModel = v.InferOutput<typeof servedSchema>;
export type ServedIndex = v.InferOutput<typeof indexSchema>;

/** Nothing is served next to the page where there is no list, as on a server of plain files. @throws network/failed */
export async function listServed(page: string, options: FetchOptions, signal?: AbortSignal): Promise<readonly ServedModel[]> {
  const url = new URL('models/index.json', page).href;
  const response = await politeFetch(url, { signal, cache: 'no-cache' }, options);
  if (!response.ok || (response.headers.get('content-type') ?? '').startsWith('text/html')) {
    await response.body?.cancel();
    return [];
  }
  let value: unknown;
  try {
    value = await response.json();
  } catch {
    throw networkFailed(url, 'it is not JSON');
  }
  const parsed = v.safeParse(indexSchema, value);
  if (!parsed.success) throw networkFailed(url, 'it does not list models in the form that is expected');
  return parsed.output.models;
}

export function planServed(
  { name, title, weights, files }: ServedModel,
  place: unknown,
  page: string,
  options: FetchOptions,
): PlannedDownload {
  const sizes = new Map(files.map(({ path, bytes }) => [path, bytes]));
  const source = openUrl(new URL(`models/${name}/`, page).href, { ...options, name: title, sizes });
  return {
    plan: {
      label: title,
      place,
      origin: null,
      weights,
      files: files.map(({ path, bytes, sha256 }) => ({
        name: path,
        bytes,
        expected: sha256 === null ? null : { kind: 'sha256', hex: sha256 },
        tag: null,
      })),
    },
    source,
    notes: [],
  };
}
