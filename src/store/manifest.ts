import * as v from 'valibot';

/** What a stored model consists of and where it came from: `manifest.json` beside its files, in the browser as on disk. */

const hash = v.object({ kind: v.picklist(['sha256', 'git-sha1']), hex: v.string() });

const fileSchema = v.object({
  /** With folders: `onnx/model_q4.onnx`. */
  name: v.string(),
  bytes: v.number(),
  /** SHA-256 of the complete file, once it has been computed from what is stored. */
  sha256: v.nullable(v.string()),
  /** What the place it comes from says its hash is; null where it says nothing. */
  expected: v.optional(v.nullable(hash), null),
  /** The server's tag of the content (ETag); null where it gives none. */
  tag: v.optional(v.nullable(v.string()), null),
});

const originSchema = v.object({
  hub: v.string(),
  repository: v.string(),
  /** Branch or tag that was asked for. */
  revision: v.string(),
  /** Commit it stood for: all files are of this one. */
  commit: v.string(),
  licence: v.nullable(v.string()),
});

const manifestSchema = v.object({
  tiller: v.literal(1),
  label: v.string(),
  /** Where it came from, as its owner's own value; opaque here. */
  place: v.unknown(),
  /** The repository and commit, for models of a hub. */
  origin: v.optional(v.nullable(originSchema), null),
  /** The file with the weights, where it has to be named. */
  weights: v.optional(v.nullable(v.string()), null),
  files: v.array(fileSchema),
});

export type Manifest = v.InferOutput<typeof manifestSchema>;
export type ManifestFile = Manifest['files'][number];
export type HubOrigin = v.InferOutput<typeof originSchema>;

export const MANIFEST = 'manifest.json';

/** Null for what is no manifest. */
export function parseManifest(text: string): Manifest | null {
  try {
    const parsed = v.safeParse(manifestSchema, JSON.parse(text));
    return parsed.success ? parsed.output : null;
  } catch {
    return null;
  }
}
