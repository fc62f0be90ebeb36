import { afterAll, expect, it } from 'vitest';
import { createJobsClient, type JobsClient } from '../../src/jobs/jobs-client.ts';
import type { EvaluateJob, JobState } from '../../src/jobs/job.ts';
import type { MemoryRoom } from '../../src/model/memory-room.ts';
import { Scratch, golden } from '../../test/cli.ts';
import { openTestRunner, type TestRunner } from '../../test/runner.ts';
import { openServedJobs } from './served-jobs.ts';

const scratch = new Scratch();
afterAll(() => scratch.remove());

const large = 'model';
const small = 'llama_gqa_tied';
const job = (model: string): EvaluateJob => ({
  ...{ tiller: 1, kind: 'evaluate', model, graph: null, factors: [], seed: 1 },
  evaluation: { type: 'damage', neutral: 'stories', maxLength: 32 },
});
const roomOf = (memory: number): MemoryRoom => ({ name: 'a machine', memory, bufferLimit: null });

interface Served extends TestRunner {
  readonly jobs: JobsClient;
}

/** A runner of two models on a machine with so much memory; its jobs lie in the same folder as those of the others of this file. */
async function serve(memory: number, anyway = false): Promise<Served> {
  const engine = { engine: 'onnx', quantization: null, precision: 'f32', weightCache: 'off', anyway, maxContext: 64 } as const;
  const served = await openServedJobs({
    database: null,
    config: { folder: scratch.path('runner'), engine },
    room: roomOf(memory),
    onError: (error) => expect.unreachable(error.message),
  });
  const runner = await openTestRunner({
    models: [golden('real_stories260K/model'), golden(small)],
    config: { engine },
    more: [served.more],
  });
  const { address } = runner;
  return {
    ...runner,
    jobs: createJobsClient({ address, token: null, fetch, pause: (ms) => new Promise((resolve) => setTimeout(resolve, ms)) }),
    close: async () => {
      await served.stop();
      await runner.close();
      await served.close();
    },
  };
}

/** The state in which a job ends. */
async function end(client: JobsClient, id: string): Promise<JobState | null> {
  let state: JobState | null = null;
  for await (const event of client.watch(id)) if (event.type === 'view') state = event.view.state;
  return state;
}

it('takes jobs of models that its memory is enough for, and leaves the others to runners with more', async () => {
  const plenty = 2 ** 40;
  const first = await serve(0);
  // Memory that is enough for the small one alone.
  let memory = 2 ** 16;
  while (!first.runner.fits(small, roomOf(memory))) memory *= 1.05;
  expect(first.runner.fits(large, roomOf(memory))).toBe(false);
  expect(first.runner.fits(large, roomOf(plenty))).toBe(true);
  await first.close();

  const tight = await serve(memory);
  const waits = await tight.jobs.submit({ job: job(large) });
  const next = await tight.jobs.submit({ job: job(small) });
  // The younger one is taken (and fails: the model has no tokenizer), so the older one was passed over.
  expect(await end(tight.jobs, next.id)).toBe('failed');
  expect((await tight.jobs.get(next.id)).error?.code).toBe('model/tokenizer');
  expect(await tight.jobs.get(waits.id)).toMatchObject({ state: 'queued', position: 1, attempt: 0 });
  await tight.close();

  const roomy = await serve(plenty);
  expect(await end(roomy.jobs, waits.id)).toBe('done');
  await roomy.close();
});

it('takes all of them where it is told to load whatever the count of memory says', async () => {
  const runner = await serve(0, true);
  const { id } = await runner.jobs.submit({ job: { ...job(large), seed: 2 } });
  expect(await end(runner.jobs, id)).toBe('done');
  await runner.close();
});
