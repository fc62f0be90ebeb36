import { TillerError } from '../errors/error.ts';
import type { WeightFormat } from './weight-format.ts';

/** A file of a listing. */
interface Listed {
  readonly path: string;
  readonly bytes: number;
}

/** One way in which a repository has the weights of its model. */
export interface WeightVariant {
  readonly format: WeightFormat;
  /** The file to open: the single file, the first of its parts, or the index of the shards. */
  readonly path: string;
  /** How the weights are stored: `safetensors`, `q4f16`, `Q4_K_M`. */
  readonly name: string;
  /** All files of the weights that the listing shows, `path` first. */
  readonly files: readonly string[];
  /** Of all of them. */
  readonly bytes: number;
}

/** Suffixes of ONNX exports and what they stand for, those that keep most of the weights first. */
const onnxKinds: readonly (readonly [suffix: string, name: string])[] = [
  ['', 'fp32'],
  ['_fp16', 'fp16'],
  ['_quantized', 'q8'],
  ['_int8', 'int8'],
  ['_uint8', 'uint8'],
  ['_q8', 'q8'],
  ['_q4f16', 'q4f16'],
  ['_q4', 'q4'],
];

/** Types that GGUF files are named for and that are read, those that keep most of the weights first. */
const ggufKinds: readonly string[] = [
  'F32', 'BF16', 'F16', 'Q8_0', 'Q6_K', 'Q5_K_M', 'Q5_K_S', 'Q5_1', 'Q5_0', 'Q4_K_M', 'Q4_K_S', 'IQ4_NL', 'IQ4_XS', 'Q4_1', 'Q4_0',
  'Q3_K_L', 'Q3_K_M', 'Q3_K_S', 'Q2_K', 'Q2_K_S', 'IQ2_XXS',
]; // prettier-ignore

/** What a download may have without being asked for, bytes. */
export const DOWNLOAD_LIMIT = 2e9;

/** All the ways a repository has its weights, in the order in which they are preferred. */
export function weightVariants(files: readonly Listed[]): WeightVariant[] {
  const found = [...safetensors(files), ...onnx(files), ...gguf(files)];
  return found.sort((a, b) => a.rank - b.rank || (a.variant.path < b.variant.path ? -1 : 1)).map(({ variant }) => variant);
}

interface Ranked {
  readonly rank: number;
  readonly variant: WeightVariant;
}

const sum = (files: readonly Listed[]): number => files.reduce((total, { bytes }) => total + bytes, 0);
const ranked = (format: WeightFormat, name: string, rank: number, files: readonly Listed[]): Ranked => ({
  rank,
  variant: { format, path: files[0].path, name, files: files.map(({ path }) => path), bytes: sum(files) },
});

function safetensors(files: readonly Listed[]): Ranked[] {
  const single = files.find(({ path }) => path === 'model.safetensors');
  if (single) return [ranked('safetensors', 'safetensors', 0, [single])];
  const index = files.find(({ path }) => path === 'model.safetensors.index.json');
  if (!index) return [];
  const shards = files.filter(({ path }) => /^model-\d{5}-of-\d{5}\.safetensors$/.test(path));
  return [ranked('safetensors', 'safetensors', 0, [index, ...shards])];
}

function onnx(files: readonly Listed[]): Ranked[] {
  return files.flatMap((file) => {
    const match = /(?:^|\/)model([\w.-]*)\.onnx$/.exec(file.path);
    const kind = match ? onnxKinds.findIndex(([suffix]) => suffix === match[1]) : -1;
    if (kind < 0) return [];
    // `model.onnx_data`, `model.onnx_data_1`, and `model.onnx.data` as torch.onnx names it.
    const data = files.filter(({ path }) => path.startsWith(file.path) && /^(_data(_\d+)?|\.data)$/.test(path.slice(file.path.length)));
    return [ranked('onnx', onnxKinds[kind][1], 100 + kind, [file, ...data])];
  });
}

/** `NAME-00001-of-00003.gguf` -> name without the part; null for a later part. */
const PART = /^(.*)-(\d{5})-of-(\d{5})\.gguf$/i;

function gguf(files: readonly Listed[]): Ranked[] {
  return files.flatMap((file) => {
    if (!/\.gguf$/i.test(file.path) || /(^|\/)(mmproj|imatrix)/i.test(file.path)) return [];
    const part = PART.exec(file.path);
    if (part && part[2] !== '00001') return [];
    const belongs = (path: string): boolean => {
      const other = PART.exec(path);
      return other !== null && part !== null && other[1] === part[1] && other[3] === part[3] && path !== file.path;
    };
    const rest = files.filter(({ path }) => belongs(path));
    const stem = (part ? part[1] : file.path.slice(0, -5)).toUpperCase();
    const kind = ggufKinds.findIndex((name) => stem.endsWith(name) && /[-._/]$/.test(stem.slice(0, -name.length)));
    const name = kind < 0 ? 'GGUF' : ggufKinds[kind];
    return [ranked('gguf', name, 200 + (kind < 0 ? ggufKinds.length : kind), [file, ...rest])];
  });
}

/** What is taken, and why in a sentence. */
export interface WeightChoice {
  readonly variant: WeightVariant;
  readonly reason: string;
}

const size = (bytes: number): string => (bytes >= 1e9 ? `${(bytes / 1e9).toFixed(1)} GB` : `${Math.max(1, Math.round(bytes / 1e6))} MB`);

/**
 * Takes one of the variants: the file that is asked for, else safetensors, else the first that is no larger than `limit`, else the smallest.
 * @param place for messages
 * @throws model/not-found
 */
export function chooseWeights(
  variants: readonly WeightVariant[],
  place: string,
  wanted: string | null = null,
  limit = DOWNLOAD_LIMIT,
): WeightChoice {
  const describe = ({ path, name, bytes }: WeightVariant): string => `${path} (${name}, ${size(bytes)})`;
  const list = variants.map(({ path }) => path).slice(0, 12).join(', '); // prettier-ignore
  if (wanted !== null) {
    const lower = wanted.toLowerCase();
    const exact = variants.filter(({ path, files }) => path === wanted || files.includes(wanted));
    const named =
      exact.length > 0 ? exact : variants.filter(({ name, path }) => name.toLowerCase() === lower || path.split('/').at(-1) === wanted);
    if (named.length === 1) return { variant: named[0], reason: `${describe(named[0])}, as asked for` };
    const problem =
      named.length > 1 ? `"${wanted}" could be ${named.map(({ path }) => path).join(' or ')}` : `it has no weights "${wanted}"`;
    throw new TillerError('model/not-found', { place, problem: `${problem}; there are: ${list || 'none'}` });
  }
  if (variants.length === 0) throw new TillerError('model/not-found', { place, problem: 'it has no weights of a known format' });
  const [first] = variants;
  const others = variants.length > 1 ? `; others: ${variants.filter((one) => one !== first).map(({ path }) => path).slice(0, 8).join(', ')}` : ''; // prettier-ignore
  if (first.format === 'safetensors') return { variant: first, reason: `${describe(first)}, the original form${others}` };
  const fitting = variants.find(({ format, bytes }) => format === first.format && bytes <= limit);
  const taken = fitting ?? variants.reduce((least, one) => (one.bytes < least.bytes ? one : least));
  const why = fitting ? `keeps most of the weights with at most ${size(limit)}` : `the smallest; all have more than ${size(limit)}`;
  const rest = variants.filter((one) => one !== taken);
  const more =
    rest.length > 0
      ? `; others: ${rest
          .map(({ path }) => path)
          .slice(0, 8)
          .join(', ')}`
      : '';
  return { variant: taken, reason: `${describe(taken)}, ${why}${more}` };
}
