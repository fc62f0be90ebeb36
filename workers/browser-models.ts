import type { LoadProgress } from '../src/engine/engine.ts';
import { TillerError } from '../src/errors/error.ts';
import { isRecord } from '../src/formats/json.ts';
import type { LoadRequest, StorageState } from '../src/lab/engine-protocol.ts';
import { placeLabel, type ModelPlace } from '../src/lab/experiment.ts';
import type { ModelStorage } from '../src/lab/model-access.ts';
import { readJsonFile, type FileAccess } from '../src/model/files.ts';
import { openFiles } from '../src/store/files.ts';
import { openHub } from '../src/store/hub.ts';
import { folderKey, OpfsStore } from '../src/store/opfs.ts';
import { openUrl } from '../src/store/url.ts';

interface Found {
  readonly label: string;
  readonly licence: string | null;
  readonly files: FileAccess;
}

type Report = (progress: LoadProgress) => void;

interface BrowserModels {
  /** Files of a model: the embedded ones from the page's own server, others from the browser's storage, downloaded into it first. */
  find(request: LoadRequest, onProgress: Report, signal: AbortSignal): Promise<Found>;
  readonly storage: ModelStorage | null;
}

const fetchHere: typeof fetch = (...args) => fetch(...args);

const keyOf = (place: ModelPlace): string => folderKey(`${place.kind}:${placeLabel(place)}`);

function remoteFiles({ model, hub, page }: LoadRequest): FileAccess {
  const { place } = model;
  switch (place.kind) {
    case 'embedded':
      return openUrl(new URL(`models/${place.name}/`, page).href, { fetch: fetchHere, name: place.name });
    case 'hub':
      return openHub(place.name, { fetch: fetchHere, hub });
    case 'url':
      return openUrl(place.url, { fetch: fetchHere });
    case 'stored':
      throw new TillerError('model/not-found', {
        place: 'the browser’s storage',
        problem: `${place.name} is not stored here; drop its files again`,
      });
    case 'runner':
      throw new TillerError('internal', { problem: 'the weights of a runner’s model stay on the runner' });
  }
}

const optional = ['generation_config.json', 'tokenizer.json', 'tokenizer_config.json', 'chat_template.jinja'];
const index = 'model.safetensors.index.json';

/** Names of the files that make a model, found by asking for them: servers have no listings. */
async function modelFileNames(files: FileAccess, signal: AbortSignal): Promise<string[]> {
  if ((await files.size('config.json', signal)) === null) {
    throw new TillerError('model/not-found', { place: files.name, problem: 'there is no config.json' });
  }
  const names = ['config.json'];
  for (const name of optional) if ((await files.size(name, signal)) !== null) names.push(name);
  const shards = await readJsonFile(files, index, signal);
  if (!isRecord(shards)) return [...names, 'model.safetensors'];
  const map = isRecord(shards.weight_map) ? Object.values(shards.weight_map) : [];
  const listed = [...new Set(map.filter((name): name is string => typeof name === 'string'))].sort();
  if (listed.length === 0) throw new TillerError('model/file', { file: index, problem: 'it names no files' });
  return [...names, index, ...listed];
}

export function browserModels(): BrowserModels {
  const available = typeof navigator.storage?.getDirectory === 'function' && 'createSyncAccessHandle' in FileSystemFileHandle.prototype;
  if (!available) return { storage: null, find: async (request) => describe(request, remoteFiles(request)) };
  const store = new OpfsStore();

  const download = async (request: LoadRequest, onProgress: Report, signal: AbortSignal): Promise<void> => {
    const { place } = request.model;
    const source = remoteFiles(request);
    const names = await modelFileNames(source, signal);
    const report: Parameters<OpfsStore['fetch']>[5] = (progress) => onProgress({ ...progress, unit: 'bytes' });
    await store.fetch(keyOf(place), placeLabel(place), place, source, names, report, signal);
  };

  const storage: ModelStorage = {
    download,
    async list(): Promise<StorageState> {
      const [folders, estimate, persistent] = await Promise.all([
        store.list(),
        navigator.storage.estimate(),
        navigator.storage.persisted(),
      ]);
      const models = folders.map(({ key, manifest, have }) => {
        const bytes = manifest.files.reduce((sum, file) => sum + file.bytes, 0);
        const there = have.reduce((sum, size) => sum + size, 0);
        const files = manifest.files.map((file, i) => ({ name: file.name, bytes: file.bytes, have: have[i] }));
        return { key, label: manifest.label, place: manifest.place as ModelPlace, bytes, missing: Math.max(0, bytes - there), files };
      });
      return { models, used: estimate.usage ?? 0, quota: estimate.quota ?? 0, persistent };
    },
    async keep(label, files, onProgress, signal) {
      const source = openFiles(files, label);
      const place: ModelPlace = { kind: 'stored', name: label };
      const report: Parameters<OpfsStore['fetch']>[5] = (progress) => onProgress({ ...progress, unit: 'bytes' });
      await store.fetch(keyOf(place), label, place, source, await modelFileNames(source, signal), report, signal);
      return { place, quantization: 'none', precision: 'auto' };
    },
    verify: (key, onProgress, signal) => store.verify(key, (progress) => onProgress({ ...progress, unit: 'bytes' }), signal),
    remove: (key) => store.remove(key),
  };

  return {
    storage,
    async find(request, onProgress, signal) {
      const { place } = request.model;
      if (place.kind === 'embedded') return describe(request, remoteFiles(request));
      const key = keyOf(place);
      if ((await store.complete(key)) === null) await download(request, onProgress, signal);
      return describe(request, await store.open(key, placeLabel(place)));
    },
  };
}

const describe = ({ model }: LoadRequest, files: FileAccess): Found => ({ label: placeLabel(model.place), licence: null, files });
