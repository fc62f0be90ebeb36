import * as v from 'valibot';
import { readStored, writeStored } from './stored.ts';

/**
 * The runners of this browser. Addresses are kept; a token only where that was asked for, else it lives as long as the page. Links,
 * exports and receipts are made from the experiment, which knows addresses only.
 */
export interface RunnerEntry {
  readonly address: string;
  readonly token: string | null;
  /** Whether the token is kept in the browser's storage. */
  readonly remember: boolean;
}

const schema = v.array(v.object({ address: v.pipe(v.string(), v.url()), token: v.optional(v.nullable(v.string()), null) }));

export function readRunners(): RunnerEntry[] {
  const result = v.safeParse(schema, readStored('runners') ?? []);
  return result.success ? result.output.map((row) => ({ ...row, remember: row.token !== null })) : [];
}

/** False when the browser refused. */
export const writeRunners = (list: readonly RunnerEntry[]): boolean =>
  writeStored(
    'runners',
    list.map(({ address, token, remember }) => ({ address, ...(remember && token !== null ? { token } : {}) })),
  );
