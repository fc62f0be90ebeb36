import type { ResultStore } from '../../src/captures/result-store.ts';
import type { Engine } from '../../src/engine/engine.ts';
import type { UnitStore } from '../../src/evals/unit-store.ts';
import type { JobDocument, JobReport } from '../../src/jobs/job.ts';
import type { ModelFiles } from '../../src/model/model.ts';

/** What a job is run on. Plain data and two stores, which may be proxies of another thread's. */
export interface JobPlace {
  readonly engine: Engine;
  readonly files: ModelFiles;
  /** Captures; they are large and stay with the machine. */
  readonly results: ResultStore;
  /** Finished units; runners that share a queue share them. A rejected `set` ends the job. Null: they are kept with the captures. */
  readonly units: UnitStore | null;
  /** Of the program. */
  readonly version: string;
}

/** A job as it is handed to whoever runs it: plain data, which crosses threads as it is. */
export interface JobWork {
  readonly document: JobDocument;
  /** Vectors of its graph, little-endian f32, by hash. */
  readonly tensors: ReadonlyMap<string, Uint8Array>;
  /** ISO 8601: when it was first begun, for receipts. */
  readonly made: string;
}

/** Takes what a job tells as it comes: cheap, never throws. */
export type JobListener = (report: JobReport) => void;
