import { TillerError } from '../src/errors/error.ts';
import type { LoadProgress } from '../src/engine/engine.ts';

/** Where a command's results and messages go. With `--json` standard output is one document, written at the end. */
export interface Output {
  readonly json: boolean;
  /** Text for people, on standard output; nothing with `--json`. */
  text(text: string): void;
  /** A message on standard error, one line. */
  note(text: string): void;
  /** Progress on standard error: a line that is written over on a terminal, one line for each stage elsewhere. @param stage what tells stages apart. @default the text */
  progress(text: string, done: number, total: number, stage?: string): void;
  /** The result: the document of `--json`. */
  result(value: unknown): void;
  /** The result of what goes on running: written at once. */
  announce(value: unknown): void;
}

const percent = (done: number, total: number): string => (total > 0 ? ` ${Math.floor((100 * done) / total)}%` : '');

/** What of a stream is needed: process.stdout and process.stderr, or a test's own. */
export interface Sink {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

export function openOutput(json: boolean, stdout: Sink, stderr: Sink): Output & { readonly document: () => string | null } {
  let document: string | null = null;
  let shown = '';
  const said = new Set<string>();
  const terminal = stderr.isTTY === true;
  const clear = (): void => {
    if (terminal && shown !== '') stderr.write('\r\x1b[K');
    shown = '';
  };
  return {
    json,
    text(text) {
      if (json) return;
      clear();
      stdout.write(text);
    },
    note(text) {
      clear();
      stderr.write(`tiller: ${text.replaceAll('\n', ' ')}\n`);
    },
    progress(text, done, total, stage = text) {
      if (terminal) {
        const line = `${text}${percent(done, total)}`;
        if (line === shown) return;
        stderr.write(`\r\x1b[K${line}`);
        shown = line;
        if (done >= total) clear();
      } else if (!said.has(stage)) {
        stderr.write(`tiller: ${text}\n`);
        said.add(stage);
      }
    },
    result(value) {
      document = JSON.stringify(value);
    },
    announce(value) {
      if (json) stdout.write(`${JSON.stringify(value)}\n`);
    },
    document: () => (document === null ? null : `${document}\n`),
  };
}

/** Reports loading stage by stage. */
export const loadProgress =
  (output: Output) =>
  ({ stage, done, total }: LoadProgress): void =>
    output.progress(`loading: ${stage}`, done, total);

/** f32 numbers for JSON: nine significant digits give every f32 back exactly, and half the text. */
export const jsonFloats = (values: ArrayLike<number>): number[] => Array.from(values, (value) => Number(value.toPrecision(9)));

/** Any thrown thing as an error of the catalogue. */
export const asTillerError = (error: unknown): TillerError =>
  error instanceof TillerError
    ? error
    : new TillerError('internal', { problem: error instanceof Error ? error.message : String(error) }, { cause: error });

export const errorDocument = ({ code, message, fix }: TillerError): string => `${JSON.stringify({ error: { code, message, fix } })}\n`;
