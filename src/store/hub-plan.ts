import type { FileAccess } from '../model/files.ts';
import { modelFileNames } from '../model/model-file-names.ts';
import { chooseWeights, weightVariants, type WeightVariant } from '../model/weight-choice.ts';
import { hubBase, openHub, type HubAccess } from './hub.ts';
import { listHub } from './hub-listing.ts';
import type { HubName } from './hub-name.ts';
import type { HubOrigin } from './manifest.ts';
import type { DownloadPlan, PlannedFile } from './model-folder.ts';

/** A plan with the place its files come from. */
export interface PlannedDownload {
  readonly plan: DownloadPlan;
  readonly source: FileAccess;
  /** What was chosen and why, sentences to be shown. */
  readonly notes: readonly string[];
}

/** Kept beside a model for people to read. */
const papers = /^(LICENSE|LICENCE|NOTICE|USE_POLICY)(\.\w+)?$/i;

/** Files of a repository whose sizes are known: only reading asks the server. */
function listedFiles(
  origin: HubOrigin,
  files: readonly { readonly path: string; readonly bytes: number }[],
  access: HubAccess,
): FileAccess {
  const sizes = new Map(files.map(({ path, bytes }) => [path, bytes]));
  const remote = openHub(origin.repository, origin.commit, access, sizes);
  return {
    name: remote.name,
    read: (path, start, end, signal) => remote.read(path, start, end, signal),
    list: () => Promise.resolve([...sizes.keys()]),
    size: (path) => Promise.resolve(sizes.get(path) ?? null),
  };
}

/**
 * What has to be downloaded of a repository: the chosen weights and the small files that belong to them, all at one commit.
 * @param place kept in the manifest as the owner's own value
 * @throws model/not-found, model/file, hub/gated, network/failed, request/aborted
 */
export async function planHub(
  { repository, revision, file }: HubName,
  label: string,
  place: unknown,
  access: HubAccess,
  signal?: AbortSignal,
): Promise<PlannedDownload & { readonly variants: readonly WeightVariant[] }> {
  const listing = await listHub(repository, revision, access, signal);
  const variants = weightVariants(listing.files);
  const { variant, reason } = chooseWeights(variants, repository, file);
  const { commit, licence } = listing;
  const origin: HubOrigin = { hub: hubBase(access).href, repository, revision, commit, licence };
  const source = listedFiles(origin, listing.files, access);
  const weights = variant.format === 'safetensors' ? null : variant.path;
  const names = await modelFileNames(source, signal, weights ?? undefined);
  const byName = new Map(listing.files.map((one) => [one.path, one]));
  const extra = listing.files.filter(({ path }) => papers.test(path)).map(({ path }) => path);
  const files = [...new Set([...names, ...extra])].flatMap((name): PlannedFile[] => {
    const listed = byName.get(name);
    return listed ? [{ name, bytes: listed.bytes, expected: listed.hash, tag: null }] : [];
  });
  return { plan: { label, place, origin, weights, files }, source, notes: [`Takes ${reason}.`], variants };
}

/** Goes on with a download that was begun: the same files of the same commit, without asking what the repository has now. */
export function resumeHub(plan: DownloadPlan & { readonly origin: HubOrigin }, access: HubAccess): PlannedDownload {
  const files = plan.files.map(({ name, bytes }) => ({ path: name, bytes }));
  return { plan, source: listedFiles(plan.origin, files, { ...access, hub: plan.origin.hub }), notes: [] };
}
