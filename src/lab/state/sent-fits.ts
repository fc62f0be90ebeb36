import { receiptTime, readResult, type FitResult } from '../fit-result.ts';
import { readKept, writeKept } from './kept.ts';

/**
 * Fits whose graphs went to Steer, with all that makes them again elsewhere. A graph's directions name the fit by the time in its
 * receipt, so that heads may be changed on Steer and the graph still knows where it comes from.
 */
export interface SentFit {
  readonly result: FitResult;
  /** The examples where they were a file. */
  readonly file: Blob | null;
}

const most = 6;

async function readSent(): Promise<SentFit[]> {
  const kept = await readKept('fit.sent');
  if (!Array.isArray(kept)) return [];
  return kept.flatMap((row: { result?: unknown; file?: unknown } | null) => {
    const result = readResult(row?.result);
    return result ? [{ result, file: row?.file instanceof Blob ? row.file : null }] : [];
  });
}

/** False when the browser refused. */
export async function keepSent(sent: SentFit): Promise<boolean> {
  const made = receiptTime(sent.result);
  const others = (await readSent()).filter(({ result }) => receiptTime(result) !== made);
  return writeKept('fit.sent', [sent, ...others].slice(0, most));
}

export const findSent = async (made: string): Promise<SentFit | null> =>
  (await readSent()).find(({ result }) => receiptTime(result) === made) ?? null;
