import * as v from 'valibot';
import type { SequenceInput } from '../src/engine/engine.ts';
import { TillerError } from '../src/errors/error.ts';
import type { Role } from '../src/graph/document.ts';
import type { ModelFiles } from '../src/model/model.ts';
import type { Tokenizer } from '../src/model/tokenizer.ts';
import { readJsonInput } from './files.ts';
import { usage, type Options } from './options.ts';
import { readTokenFile } from './token-file.ts';

export interface Prompt {
  readonly ids: readonly number[];
  /** Null where roles are not known. */
  readonly roles: readonly (Role | null)[] | null;
}

const message = v.strictObject({ role: v.picklist(['system', 'user', 'assistant']), content: v.string() });
const chatFile = v.pipe(v.array(message), v.minLength(1));

/** A token file's sequences cut to their prompts. */
const promptOf = ({ ids, promptLength }: SequenceInput): Prompt => ({ ids: ids.slice(0, promptLength ?? ids.length), roles: null });

/**
 * What reads the prompts of `generate` from --prompt, --chat or --tokens, of which exactly one must be given. Files are read at once,
 * so that a wrong one is known before a model is opened; text waits for the model's tokenizer.
 * @throws usage, file/unreadable
 */
export async function promptOption(options: Options): Promise<(files: ModelFiles) => Prompt[]> {
  const given = (['prompt', 'chat', 'tokens'] as const).filter((name) => options.text(name) !== null);
  if (given.length !== 1) {
    throw usage(`generate takes exactly one of --prompt, --chat and --tokens${given.length === 0 ? '' : `, not ${given.length}`}`);
  }
  const value = options.needed(given[0]);
  if (given[0] === 'tokens') {
    const prompts = (await readTokenFile(value)).map(promptOf);
    return () => prompts;
  }
  if (given[0] === 'prompt') return (files) => [{ ids: tokenizerOf(files).encode(value), roles: null }];
  const parsed = v.safeParse(chatFile, await readJsonInput(value), { abortEarly: true });
  if (!parsed.success) {
    const [issue] = parsed.issues;
    const place = v.getDotPath(issue);
    throw new TillerError('file/unreadable', { file: value, problem: `${place === null ? '' : `at ${place}: `}${issue.message}` });
  }
  return (files) => [tokenizerOf(files).chat(parsed.output)];
}

/** @throws model/tokenizer where the model has none */
export function tokenizerOf({ name, tokenizer }: ModelFiles): Tokenizer {
  if (!tokenizer)
    throw new TillerError('model/tokenizer', { problem: `${name} has no tokenizer.json, so text cannot be read; give --tokens` });
  return tokenizer;
}
