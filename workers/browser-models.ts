import type { LoadProgress } from '../src/engine/engine.ts';
import { TillerError } from '../src/errors/error.ts';
import type { LoadRequest, StorageState } from '../src/lab/engine-protocol.ts';
import { placeLabel, type ModelPlace } from '../src/lab/experiment.ts';
import type { ModelStorage, PackedPlaces } from '../src/lab/model-access.ts';
import type { FileAccess } from '../src/model/files.ts';
import { modelFileNames } from '../src/model/model-file-names.ts';
import type { OriginFile } from '../src/model/packed-weights.ts';
import { openFiles, type ChosenFile } from '../src/store/files.ts';
import { parseHubName } from '../src/store/hub-name.ts';
import { planHub, resumeHub, type PlannedDownload } from '../src/store/hub-plan.ts';
import type { HubAccess } from '../src/store/hub.ts';
import type { Manifest } from '../src/store/manifest.ts';
import { planAddress, plannedFiles, weightsOf } from '../src/store/model-address.ts';
import { fillFolder, readManifest, verifyFolder, type DownloadPlan } from '../src/store/model-folder.ts';
import { folderKey, OpfsStore, type StoredFolder } from '../src/store/opfs.ts';
import { listServed, planServed } from '../src/store/served-models.ts';
import { withTransformersCache } from '../src/store/transformers-cache.ts';
import { openUrl } from '../src/store/url.ts';

interface Found {
  readonly label: string;
  readonly licence: string | null;
  readonly files: FileAccess;
  /** The weight file to open; null where it is found by itself. */
  readonly weights: string | null;
  /** What was chosen on the way, sentences to be shown. */
  readonly notes: readonly string[];
  /** Where its packed weights may be kept; null where they cannot be. */
  readonly packed: PackedPlaces | null;
}

type Report = (progress: LoadProgress) => void;

interface BrowserModels {
  /** Files of a model: the embedded ones from the page's own server, others from the browser's storage, downloaded into it first. */
  find(request: LoadRequest, onProgress: Report, signal: AbortSignal): Promise<Found>;
  readonly storage: ModelStorage | null;
}

const fetchHere: typeof fetch = (...args) => fetch(...args);

const keyOf = (place: ModelPlace): string => folderKey(`${place.kind}:${placeLabel(place)}`);
const notFound = (place: string, problem: string): TillerError => new TillerError('model/not-found', { place, problem });

/** What has to be downloaded, at the commit that an earlier attempt began with where there was one. */
async function planOf(request: LoadRequest, earlier: StoredFolder | null, signal: AbortSignal): Promise<PlannedDownload> {
  const { model, page, hub, token } = request;
  const { place } = model;
  const label = placeLabel(place);
  switch (place.kind) {
    case 'hub': {
      const access: HubAccess = { fetch: fetchHere, hub, token };
      const origin = earlier?.manifest.origin;
      if (earlier && origin)
        return resumeHub({ ...earlier.manifest, place, origin }, sameHub(origin.hub, hub) ? access : { ...access, token: null });
      const name = parseHubName(place.name, hub);
      if (!name) throw notFound(place.name, 'it is not of the form owner/name');
      return planHub(name, label, place, access, signal);
    }
    case 'served': {
      const served = (await listServed(page, { fetch: fetchHere }, signal)).find(({ name }) => name === place.name);
      if (!served) throw notFound(place.name, 'the server of this page does not offer it');
      return planServed(served, place, page, { fetch: fetchHere });
    }
    case 'url':
      return planAddress(place.url, label, place, { fetch: fetchHere }, signal);
    case 'runner':
      throw new TillerError('internal', { problem: 'the weights of a runner’s model stay on the runner' });
    case 'embedded':
    case 'stored':
      throw notFound('the browser’s storage', `${label} is not stored here; drop its files again`);
  }
}

/** A token is for the hub it was given for. */
const sameHub = (a: string, b: string): boolean => a.replace(/\/+$/, '') === b.replace(/\/+$/, '');

/** Models dropped on the page: a folder as it was chosen, or loose files. */
async function planFiles(label: string, place: ModelPlace, files: readonly ChosenFile[], signal: AbortSignal): Promise<PlannedDownload> {
  const source = openFiles(files, label);
  const names = await modelFileNames(source, signal);
  const weights = weightsOf(names.find((name) => /\.(onnx|gguf)$/i.test(name)) ?? null);
  return { plan: { label, place, origin: null, weights, files: await plannedFiles(source, names, signal) }, source, notes: [] };
}

/** Without a private file system files are read where they are, piece by piece. */
async function findWithoutStorage(request: LoadRequest, signal: AbortSignal): Promise<Found> {
  const { plan, source, notes } = await planOf(request, null, signal);
  return { label: plan.label, licence: plan.origin?.licence ?? null, files: source, weights: plan.weights, notes, packed: null };
}

function embedded({ model, page }: LoadRequest): Found {
  const label = placeLabel(model.place);
  const files = openUrl(new URL(`models/${label}/`, page).href, { fetch: fetchHere, name: label });
  return { label, licence: null, files, weights: null, notes: [], packed: null };
}

export function browserModels(): BrowserModels {
  const available = typeof navigator.storage?.getDirectory === 'function' && 'createSyncAccessHandle' in FileSystemFileHandle.prototype;
  if (!available) {
    return {
      storage: null,
      find: (request, _, signal) =>
        request.model.place.kind === 'embedded' ? Promise.resolve(embedded(request)) : findWithoutStorage(request, signal),
    };
  }
  const store = new OpfsStore();

  const fill = async (key: string, { plan, source }: PlannedDownload, onProgress: Report, signal: AbortSignal): Promise<void> => {
    await fillFolder(
      await store.folder(key, true, plan.label),
      plan,
      source,
      (progress) => onProgress({ ...progress, unit: 'bytes' }),
      signal,
    );
  };

  /** Downloads what is missing. Gives what was chosen, in sentences. */
  const download = async (request: LoadRequest, onProgress: Report, signal: AbortSignal): Promise<readonly string[]> => {
    const key = keyOf(request.model.place);
    const planned = await planOf(request, await store.find(key), signal);
    const notes = [...planned.notes];
    const source = shared(planned.source, planned.plan, (name) =>
      notes.push(`${name} was taken from the cache of transformers.js in this browser.`),
    );
    await fill(key, { ...planned, source }, onProgress, signal);
    return notes;
  };

  const storage: ModelStorage = {
    async download(request, onProgress, signal) {
      await download(request, onProgress, signal);
    },
    async list(): Promise<StorageState> {
      const [folders, estimate, persistent] = await Promise.all([
        store.list(),
        navigator.storage.estimate(),
        navigator.storage.persisted(),
      ]);
      const models = folders.map(({ key, manifest, have, complete, packed }) => {
        const bytes = manifest.files.reduce((sum, file) => sum + file.bytes, 0);
        const there = have.reduce((sum, size) => sum + size, 0);
        const files = manifest.files.map((file, i) => ({ name: file.name, bytes: file.bytes, have: have[i] }));
        const { label, origin, weights } = manifest;
        const from = origin && { commit: origin.commit, licence: origin.licence };
        return {
          key,
          label,
          place: manifest.place as ModelPlace,
          bytes,
          missing: Math.max(0, bytes - there),
          complete,
          packed,
          weights,
          from,
          files,
        };
      });
      // After a restart browsers count what is written from then on until they have looked; what was seen here is there.
      const seen = models.reduce((sum, { bytes, missing, packed }) => sum + bytes - missing + packed, 0);
      return { models, used: Math.max(estimate.usage ?? 0, seen), quota: estimate.quota ?? 0, persistent };
    },
    async keep(label, files, onProgress, signal) {
      const place: ModelPlace = { kind: 'stored', name: label };
      await fill(keyOf(place), await planFiles(label, place, files, signal), onProgress, signal);
      return { place, quantization: 'suggested', precision: 'auto' };
    },
    async verify(key, onProgress, signal) {
      const folder = await store.folder(key);
      const manifest = await readManifest(folder);
      if (!manifest) throw notFound('the browser’s storage', `${key} has no manifest`);
      await verifyFolder(folder, manifest, (progress) => onProgress({ ...progress, unit: 'bytes' }), signal);
    },
    remove: (key) => store.remove(key),
  };

  return {
    storage,
    async find(request, onProgress, signal) {
      const { place } = request.model;
      if (place.kind === 'embedded') return embedded(request);
      const key = keyOf(place);
      const stored = await store.find(key);
      const notes = stored?.complete ? [] : await download(request, onProgress, signal);
      const manifest = stored?.complete ? stored.manifest : await readManifest(await store.folder(key));
      return {
        label: placeLabel(place),
        licence: manifest?.origin?.licence ?? null,
        files: await store.open(key, placeLabel(place)),
        weights: manifest?.weights ?? null,
        notes,
        packed: manifest && packedPlaces(manifest, (quantization) => store.packed(key, quantization)),
      };
    },
  };
}

/** Only what was compared with a hash is known well enough to be read in the place of its source. */
function packedPlaces({ files }: Manifest, store: PackedPlaces['store']): PackedPlaces | null {
  const origin: OriginFile[] = [];
  for (const { name, bytes, sha256 } of files) {
    if (sha256 === null) return null;
    if (!name.endsWith('.json')) origin.push({ name, bytes, sha256 });
  }
  return { files: origin, store };
}

function shared(source: FileAccess, plan: DownloadPlan, onTaken: (name: string) => void): FileAccess {
  // Only secure pages have caches.
  return 'caches' in globalThis ? withTransformersCache(source, plan, (name) => caches.open(name), onTaken) : source;
}
