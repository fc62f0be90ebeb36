import type { UnitStore } from '../../src/evals/unit-store.ts';
import type { JobResult } from '../../src/jobs/job-result.ts';
import type { JobListener, JobWork } from '../jobs/job-place.ts';
import type { EnginePool } from './engine-pool.ts';

/** Runs jobs in the engines of a pool, beside what clients ask for. */
export const poolExecutor =
  (pool: EnginePool) =>
  async (job: JobWork, units: UnitStore, report: JobListener, signal: AbortSignal): Promise<JobResult> =>
    (await pool.run(job.document.model, { kind: 'job', job }, { units, onReport: report }, signal)) as JobResult;
