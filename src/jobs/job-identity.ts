import { unitKey, type Json } from '../evals/unit-store.ts';
import type { JobDocument } from './job.ts';

/**
 * The name of a job: hex SHA-256 of what is asked and of which weights (null where the runner does not know them before it loads them).
 * The same again is the same job.
 */
export function jobId(document: JobDocument, weights: string | null): string {
  // Through JSON, so that a document has one identity on both sides of the wire.
  return unitKey({ job: JSON.parse(JSON.stringify(document)) as Json, weights });
}
