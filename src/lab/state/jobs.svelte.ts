import * as v from 'valibot';
import type { ErrorData } from '../../errors/error.ts';
import { TillerError } from '../../errors/error.ts';
import type { JobResult } from '../../jobs/job-result.ts';
import { jobEnded, type JobDocument, type JobProgress, type JobRow, type JobView } from '../../jobs/job.ts';
import { createJobsClient, type JobsClient } from '../../jobs/jobs-client.ts';
import type { SentJob } from '../fit-job.ts';
import { inOrder } from '../job-words.ts';
import { Rate } from '../progress-text.ts';
import { answerMs, diagnose } from '../runner-problem.ts';
import { readKept, writeKept } from './kept.ts';
import { asError, notices } from './notices.svelte.ts';
import { runners } from './runners.svelte.ts';
import { readStored, writeStored } from './stored.ts';

export interface KnownJob {
  readonly id: string;
  readonly address: string;
  /** Of examples and method, where this page sent it. */
  readonly title: string | null;
  readonly view: JobView | null;
  /** Rows that it has told, as far as they were asked for. */
  readonly rows: readonly JobRow[];
  /** Units a second. */
  readonly rate: number | null;
  readonly problem: ErrorData | null;
}

const schema = v.array(v.object({ id: v.string(), address: v.pipe(v.string(), v.url()), title: v.nullable(v.string()) }));
const most = 50;
const mostHidden = 200;
const activeMs = 2000;
const restMs = 15_000;
const mostMs = 120_000;

const keyOf = (address: string, id: string): string => `${address} ${id}`;

/** Jobs on the runners of this browser: those that this page sent, kept by id, and all others that a runner tells of. */
class Jobs {
  #sent = $state.raw<v.InferOutput<typeof schema>>([]);
  #views = $state.raw<Readonly<Record<string, KnownJob>>>({});
  /** Runners that could not be asked, by address. */
  problems = $state.raw<Readonly<Record<string, ErrorData>>>({});
  /** Jobs that this page sent and their runner does not keep any more. */
  #gone = $state.raw<Readonly<Record<string, ErrorData>>>({});
  /** Ended jobs that were taken off the list, though their runner tells of them. */
  #hidden: readonly string[] = [];
  #rates = new Map<string, Rate>();
  #failures = new Map<string, number>();
  #timers = new Map<string, ReturnType<typeof setTimeout>>();
  #watchers = 0;

  start(): void {
    const result = v.safeParse(schema, readStored('jobs') ?? []);
    if (result.success) this.#sent = result.output;
    const hidden = v.safeParse(v.array(v.string()), readStored('jobs.hidden') ?? []);
    if (hidden.success) this.#hidden = hidden.output;
    document.addEventListener('visibilitychange', () => {
      if (this.#watched) this.#all(0);
    });
  }

  get #watched(): boolean {
    return this.#watchers > 0 && document.visibilityState === 'visible';
  }

  /** Whether there is anything to show or to ask for. */
  get any(): boolean {
    return this.#sent.length > 0 || Object.keys(this.#views).length > 0;
  }

  get list(): KnownJob[] {
    const sent = this.#sent
      .filter(({ address, id }) => !(keyOf(address, id) in this.#views))
      .map((row) => ({
        ...row,
        view: null,
        rows: [],
        rate: null,
        problem: this.#gone[keyOf(row.address, row.id)] ?? this.problems[row.address] ?? null,
      }));
    return inOrder([...Object.values(this.#views), ...sent]);
  }

  get active(): number {
    return this.list.filter(({ view }) => view !== null && !jobEnded(view.state)).length;
  }

  client(address: string): JobsClient {
    return createJobsClient({
      address,
      token: runners.tokenFor(address),
      fetch: (...args) => fetch(...args),
      pause: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    });
  }

  /** Begins a job, and keeps what its result is opened with. @throws jobs/*, runner/*, network/failed */
  async submit(address: string, job: JobDocument, title: string, sent: SentJob, signal: AbortSignal): Promise<JobView> {
    const view = await this.client(address).submit({ job, again: true }, signal);
    this.#sent = [{ id: view.id, address, title }, ...this.#sent.filter((row) => keyOf(row.address, row.id) !== keyOf(address, view.id))];
    const dropped = this.#sent.slice(most);
    this.#sent = this.#sent.slice(0, most);
    for (const row of dropped) void writeKept(`job.${row.id}`, null);
    this.#hide(this.#hidden.filter((key) => key !== keyOf(address, view.id)));
    const kept = writeStored('jobs', this.#sent) && (await writeKept(`job.${view.id}`, sent));
    if (!kept) notices.say('The browser refuses to keep which job this is: look at it on the Jobs page before you leave.');
    this.take(address, view);
    return view;
  }

  sent(id: string): Promise<SentJob | null> {
    return readKept(`job.${id}`) as Promise<SentJob | null>;
  }

  /** Notes how a job stands. */
  take(address: string, view: JobView, rows: readonly JobRow[] = []): void {
    const key = keyOf(address, view.id);
    if (this.#hidden.includes(key) && jobEnded(view.state)) return;
    const before = this.#views[key];
    if (before?.view && before.view.revision > view.revision) return;
    const known = this.#sent.find((row) => keyOf(row.address, row.id) === key);
    const rate = view.state === 'running' && view.progress ? this.#rateOf(key, view.progress) : null;
    const all = rows.length > 0 ? [...(before?.rows ?? []), ...rows] : (before?.rows ?? []);
    this.#views = { ...this.#views, [key]: { id: view.id, address, title: known?.title ?? null, view, rows: all, rate, problem: null } };
  }

  #rateOf(key: string, progress: JobProgress): number | null {
    const rate = this.#rates.get(key) ?? new Rate();
    this.#rates.set(key, rate);
    return rate.of(progress, performance.now());
  }

  /** Asks all runners for their jobs from time to time until the answer is called. */
  watch(): () => void {
    this.#watchers += 1;
    this.#all(0);
    return () => {
      this.#watchers -= 1;
    };
  }

  #all(ms: number): void {
    for (const { address } of runners.list) this.#soon(address, ms);
  }

  async look(address: string): Promise<void> {
    try {
      const views = await this.client(address).list(AbortSignal.timeout(answerMs));
      for (const view of views) this.take(address, view);
      await this.#askAfter(address);
      this.#failures.delete(address);
      this.problems = Object.fromEntries(Object.entries(this.problems).filter(([key]) => key !== address));
    } catch (cause) {
      this.#failures.set(address, (this.#failures.get(address) ?? 0) + 1);
      this.problems = { ...this.problems, [address]: await problemOf(cause, address) };
    }
  }

  /** A runner lists its newest jobs; those of this page that are not among them are asked for by name, once. */
  async #askAfter(address: string): Promise<void> {
    for (const { id } of this.#sent.filter((row) => row.address === address)) {
      const key = keyOf(address, id);
      if (key in this.#views || key in this.#gone) continue;
      try {
        this.take(address, await this.client(address).get(id, 0, AbortSignal.timeout(answerMs)));
      } catch (cause) {
        const error = asError(cause);
        if (error.code !== 'jobs/unknown') throw cause;
        this.#gone = { ...this.#gone, [key]: error };
      }
    }
  }

  #soon(address: string, ms: number): void {
    clearTimeout(this.#timers.get(address));
    this.#timers.set(
      address,
      setTimeout(() => {
        if (!this.#watched || !runners.entry(address)) return;
        void this.look(address).then(() => this.#soon(address, this.#pause(address)));
      }, ms),
    );
  }

  #pause(address: string): number {
    const failures = this.#failures.get(address) ?? 0;
    if (failures > 0) return Math.min(mostMs, activeMs * 2 ** failures);
    const active = Object.values(this.#views).some((job) => job.address === address && job.view && !jobEnded(job.view.state));
    return active ? activeMs : restMs;
  }

  async cancel({ address, id }: Pick<KnownJob, 'address' | 'id'>): Promise<void> {
    try {
      this.take(address, await this.client(address).cancel(id));
    } catch (cause) {
      notices.fail(cause);
    }
  }

  /** The rows of a job that is looked at closely. */
  async rows({ address, id }: Pick<KnownJob, 'address' | 'id'>): Promise<readonly JobRow[]> {
    const { rows } = await this.client(address).get(id);
    return rows;
  }

  result({ address, id }: Pick<KnownJob, 'address' | 'id'>): Promise<JobResult> {
    return this.client(address).result(id);
  }

  #hide(keys: readonly string[]): void {
    this.#hidden = keys;
    writeStored('jobs.hidden', keys);
  }

  /** Takes an ended job off the list of this page; the runner keeps it. */
  forget({ address, id }: Pick<KnownJob, 'address' | 'id'>): void {
    this.#sent = this.#sent.filter((row) => keyOf(row.address, row.id) !== keyOf(address, id));
    this.#views = Object.fromEntries(Object.entries(this.#views).filter(([key]) => key !== keyOf(address, id)));
    this.#hide([keyOf(address, id), ...this.#hidden].slice(0, mostHidden));
    writeStored('jobs', this.#sent);
    void writeKept(`job.${id}`, null);
  }
}

/** A failure of the jobs' client as the page says it of a runner. */
async function problemOf(cause: unknown, address: string): Promise<ErrorData> {
  const error = asError(cause);
  if (error.code !== 'network/failed' && error.code !== 'request/aborted') return error;
  const problem = typeof error.details.problem === 'string' ? error.details.problem : 'it did not answer in time';
  const unreachable = new TillerError('runner/unreachable', { address, origin: location.origin, problem });
  return (await diagnose(unreachable, address, location.origin, (...args) => fetch(...args))).toJSON();
}

export const jobs = new Jobs();
