import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { TillerError } from '../src/errors/error.ts';
import type { WeightVariant } from '../src/model/weight-choice.ts';
import { weightVariants } from '../src/model/weight-choice.ts';
import { diskFolder } from '../src/store/disk-folder.ts';
import { listHub, type HubListing } from '../src/store/hub-listing.ts';
import { hubNameText, type HubName } from '../src/store/hub-name.ts';
import { planHub, resumeHub, type PlannedDownload } from '../src/store/hub-plan.ts';
import type { HubAccess } from '../src/store/hub.ts';
import { MANIFEST, parseManifest, type Manifest } from '../src/store/manifest.ts';
import { fillFolder, isComplete, verifyFolder } from '../src/store/model-folder.ts';
import { cacheFolder } from './cache-folder.ts';
import type { Output } from './output.ts';

/**
 * Models from the hub, kept in the user's cache folder: `models/OWNER--NAME/`, a Hugging Face folder like any other with a
 * manifest.json. A revision or weight file that was asked for by name has a folder of its own.
 */

const root = (): string => join(cacheFolder(), 'models');
const plainName = (text: string): string => text.replace(/[^A-Za-z0-9._-]/g, (char) => (char === '/' ? '--' : '~'));
const folderOf = (name: HubName): string => join(root(), plainName(hubNameText(name)));

export interface CachedModel {
  readonly folder: string;
  /** As `parseHubName` reads it. */
  readonly name: string;
  readonly manifest: Manifest;
  /** Bytes that are there. */
  readonly bytes: number;
  readonly complete: boolean;
}

async function readCached(folder: string): Promise<CachedModel | null> {
  const path = join(folder, MANIFEST);
  if (!existsSync(path)) return null;
  const manifest = parseManifest(readFileSync(path, 'utf8'));
  if (!manifest) return null;
  const disk = diskFolder(folder);
  const have = await Promise.all(manifest.files.map(({ name }) => disk.size(name)));
  return { folder, name: manifest.label, manifest, bytes: have.reduce((a, b) => a + b, 0), complete: isComplete(manifest, have) };
}

/** Models that were downloaded, complete or not. */
export async function cachedModels(): Promise<CachedModel[]> {
  if (!existsSync(root())) return [];
  const folders = readdirSync(root(), { withFileTypes: true }).filter((entry) => entry.isDirectory());
  const read = await Promise.all(folders.map((entry) => readCached(join(root(), entry.name))));
  return read.filter((model) => model !== null).sort((a, b) => a.name.localeCompare(b.name));
}

/**
 * What is stored under a name: its own folder, or that of the usual choice where it holds the file that is asked for.
 * Null when there is none.
 */
export async function cachedModel(name: HubName): Promise<CachedModel | null> {
  const own = await readCached(folderOf(name));
  if (own ?? name.file === null) return own;
  const usual = await readCached(folderOf({ ...name, file: null }));
  return usual?.manifest.files.some((file) => file.name === name.file) ? usual : null;
}

/** A complete model's folder and the weight file to open in it; null when it has to be downloaded. No request is made. */
export async function completeModel(name: HubName): Promise<CachedModel | null> {
  const cached = await cachedModel(name);
  return cached?.complete ? cached : null;
}

export const deleteCached = (model: CachedModel): Promise<void> => rm(model.folder, { recursive: true, force: true });

/** The hub of HF_ENDPOINT, as whoever HF_TOKEN is. */
export function hubOfEnvironment(): HubAccess {
  const { HF_ENDPOINT: hub, HF_TOKEN: token } = process.env;
  return { fetch: globalThis.fetch, ...(hub ? { hub } : {}), token: token?.trim() ? token.trim() : null };
}

/** What a repository has, and the ways in which it has its weights. @throws model/not-found, hub/gated, network/failed */
export async function listRepository(
  { repository, revision }: HubName,
  signal: AbortSignal,
): Promise<{ readonly listing: HubListing; readonly variants: readonly WeightVariant[] }> {
  const listing = await listHub(repository, revision, hubOfEnvironment(), signal);
  return { listing, variants: weightVariants(listing.files) };
}

/**
 * Downloads a model into the cache. What an interrupted download left is gone on from, at the commit it was begun with.
 * @throws model/not-found, model/hash, hub/gated, network/failed, store/no-room, file/unwritable, request/aborted
 */
export async function fetchModel(name: HubName, output: Output, signal: AbortSignal): Promise<CachedModel> {
  const earlier = await cachedModel(name);
  if (earlier?.complete) return earlier;
  const folder = earlier?.folder ?? folderOf(name);
  const label = earlier?.name ?? hubNameText(name);
  const { plan, source, notes } = await planOf(name, label, earlier, signal);
  for (const note of notes) output.note(note);
  await fillFolder(
    diskFolder(folder),
    plan,
    source,
    ({ stage, done, total }) => output.progress(`${stage === 'download' ? 'downloading' : 'verifying'} ${label}`, done, total, stage),
    signal,
  );
  const cached = await readCached(folder);
  if (!cached?.complete) throw new TillerError('model/file', { file: folder, problem: 'it was changed while it was being written' });
  return cached;
}

function planOf(name: HubName, label: string, earlier: CachedModel | null, signal: AbortSignal): Promise<PlannedDownload> {
  const access = hubOfEnvironment();
  const { origin, weights, files } = earlier?.manifest ?? { origin: null, weights: null, files: [] };
  if (!origin || files.length === 0) return planHub(name, label, hubNameText(name), access, signal);
  return Promise.resolve(resumeHub({ label, place: earlier?.manifest.place ?? label, origin, weights, files }, access));
}

/** Hashes every file of a cached model. @throws model/file, model/hash */
export const verifyCached = ({ folder, manifest, name }: CachedModel, output: Output, signal: AbortSignal): Promise<void> =>
  verifyFolder(diskFolder(folder), manifest, ({ done, total }) => output.progress(`verifying ${name}`, done, total), signal);
