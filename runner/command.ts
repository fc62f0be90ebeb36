import type { OptionName, Options } from './options.ts';
import type { Output } from './output.ts';

/** One verb of the command line. */
export interface Command {
  readonly verb: string;
  /** One line for the list of verbs. */
  readonly summary: string;
  /** Usage line after `tiller`. */
  readonly usage: string;
  readonly options: readonly OptionName[];
  /** How many words may follow the verb. @default 0 */
  readonly words?: number;
  /** What the help says below the options. */
  readonly more?: () => string;
  /** @throws TillerError; `usage` makes exit status 2, anything else 1 */
  readonly run: (options: Options, output: Output, signal: AbortSignal) => Promise<void>;
}

/** Where an engine runs that is not here. */
export const remoteOptions = ['runner', 'runner-token'] as const;

export const engineOptions = ['engine', 'quantize', 'precision', 'no-weight-cache', 'anyway'] as const;
