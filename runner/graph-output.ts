import { rename, writeFile } from 'node:fs/promises';
import type { BoundGraph } from '../src/graph/document.ts';
import { writeGraph } from '../src/graph/vectors.ts';
import { writeControlVector } from '../src/methods/exchange/control-vector.ts';
import { writePyvene, writeSteeringVectors } from '../src/methods/exchange/python-json.ts';
import type { ExportReceipt, Provenance } from '../src/methods/exchange/receipt.ts';
import { unwritable } from './files.ts';
import { usage } from './options.ts';

/** A whole file or none: written beside and renamed. @throws file/unwritable */
export async function writeWhole(file: string, data: string | Uint8Array): Promise<void> {
  try {
    await writeFile(`${file}.part`, data);
    await rename(`${file}.part`, file);
  } catch (cause) {
    throw unwritable(file, cause);
  }
}

export const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

/** Formats of other programs that a graph can be written in, where it only adds: ending of the file and writer. */
const formats = {
  gguf: { ending: '.gguf', write: (graph: BoundGraph, made: Provenance) => pair(writeControlVector(graph, made)) },
  pyvene: { ending: '.pyvene.json', write: (graph: BoundGraph, made: Provenance) => pair(writePyvene(graph, made)) },
  'steering-vectors': {
    ending: '.steering-vectors.json',
    write: (graph: BoundGraph, made: Provenance) => pair(writeSteeringVectors(graph, made)),
  },
} as const;
export type VectorFormat = keyof typeof formats;

function pair(written: { readonly receipt: ExportReceipt } & ({ readonly bytes: Uint8Array } | { readonly json: string })): {
  data: string | Uint8Array;
  receipt: ExportReceipt;
} {
  return { data: 'bytes' in written ? written.bytes : written.json, receipt: written.receipt };
}

/** @throws usage */
export function readFormats(names: readonly string[]): VectorFormat[] {
  return names.map((name) => {
    if (!Object.hasOwn(formats, name)) throw usage(`--export is "${name}", expected one of ${Object.keys(formats).join(', ')}`);
    return name as VectorFormat;
  });
}

/**
 * Writes `G.json`, `G.safetensors` where there are vectors, `G.report.json`, and the formats asked for with a receipt beside each.
 * @returns the files written
 * @throws file/unwritable, vectors/export
 */
export async function writeFitFiles(
  out: string,
  graph: BoundGraph,
  report: unknown,
  exports: readonly VectorFormat[],
  made: Provenance,
): Promise<string[]> {
  const stem = out.replace(/\.json$/i, '');
  const written: string[] = [];
  const write = async (file: string, data: string | Uint8Array): Promise<void> => {
    await writeWhole(file, data);
    written.push(file);
  };
  const files = writeGraph(graph);
  // Vectors first: a document without them would be refused.
  if (files.safetensors) await write(`${stem}.safetensors`, files.safetensors);
  await write(`${stem}.json`, files.json);
  await write(`${stem}.report.json`, json(report));
  for (const name of exports) {
    const { data, receipt } = formats[name].write(graph, made);
    await write(`${stem}${formats[name].ending}`, data);
    await write(`${stem}${formats[name].ending}.receipt.json`, json(receipt));
  }
  return written;
}
