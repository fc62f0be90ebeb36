import type { Engine, LoadProgress } from '../../src/engine/engine.ts';
import { TillerError } from '../../src/errors/error.ts';
import type { Json, UnitStore } from '../../src/evals/unit-store.ts';
import type { BoundGraph } from '../../src/graph/document.ts';
import { bindGraph } from '../../src/graph/vectors.ts';
import type { JobListener, JobWork } from '../jobs/job-place.ts';
import { asTillerError } from '../output.ts';
import type { FromEngine, SentGraph, EngineModel, ToEngine, Work } from './engine-protocol.ts';

/** The engine's side of a port: childPort, or one end of a MessageChannel. */
export interface SessionPort {
  postMessage(message: FromEngine): void;
  on(event: 'message', listener: (message: ToEngine) => void): unknown;
}

/** Runs a job with the engine of this process; finished units are kept on the other side of the port. */
export type RunJob = (engine: Engine, job: JobWork, units: UnitStore, report: JobListener, signal: AbortSignal) => Promise<unknown>;

export interface SessionParts {
  readonly open: (model: EngineModel, onProgress: (progress: LoadProgress) => void) => Promise<Engine>;
  /** Null where this runner takes no jobs. */
  readonly runJob: RunJob | null;
}

/** Milliseconds between two signs of life. */
const BEAT = 1000;

const bound = (graph: SentGraph | null): BoundGraph | null => graph && bindGraph(graph.document, graph.vectors);
/** One engine behind a port: opens a model, then does what it is told until it is closed. Every failure is told as an error of the catalogue. */
export function serveEngine(port: SessionPort, parts: SessionParts): void {
  const running = new Map<number, AbortController>();
  /** Runs that wait for their last step to be heard. */
  const unheard = new Map<number, () => void>();
  const calls = new Calls(port);
  let engine: Engine | null = null;
  const beats = setInterval(() => port.postMessage({ type: 'beat', memory: process.memoryUsage.rss() }), BEAT);
  beats.unref();

  const open = async (model: EngineModel): Promise<void> => {
    try {
      engine = await parts.open(model, (progress) => port.postMessage({ type: 'loading', progress }));
      port.postMessage({ type: 'ready', info: engine.model });
    } catch (error) {
      port.postMessage({ type: 'unopened', error: asTillerError(error).toJSON() });
    }
  };

  const run = async (id: number, work: Work): Promise<void> => {
    const controller = new AbortController();
    running.set(id, controller);
    try {
      if (!engine) throw new TillerError('internal', { problem: 'the engine was asked before it had a model' });
      const value = await perform(engine, work, controller.signal, {
        step: (step) =>
          new Promise((resolve) => {
            port.postMessage({ type: 'step', id, step });
            // Nothing of a run that was stopped is answered.
            if (controller.signal.aborted) resolve();
            else unheard.set(id, resolve);
          }),
        progress: (done, total) => port.postMessage({ type: 'progress', id, done, total }),
        report: (report) => port.postMessage({ type: 'report', id, report }),
        units: calls.units(id),
        runJob: parts.runJob,
      });
      port.postMessage({ type: 'done', id, value });
    } catch (error) {
      port.postMessage({ type: 'error', id, error: asTillerError(error).toJSON() });
    } finally {
      running.delete(id);
      unheard.delete(id);
    }
  };

  const stop = (id: number): void => {
    running.get(id)?.abort();
    unheard.get(id)?.();
  };

  const close = async (): Promise<void> => {
    for (const id of running.keys()) stop(id);
    clearInterval(beats);
    await engine?.dispose().catch(() => undefined);
    engine = null;
    port.postMessage({ type: 'closed' });
  };

  port.on('message', (message) => {
    if (message.type === 'open') void open(message.model);
    else if (message.type === 'work') void run(message.id, message.work);
    else if (message.type === 'unit') calls.answer(message);
    else if (message.type === 'heard') unheard.get(message.id)?.();
    else if (message.type === 'stop') stop(message.id);
    else void close();
  });
}

/** Units of jobs, which the server keeps: calls over the port, each with its answer. */
class Calls {
  readonly #open = new Map<number, { readonly resolve: (value: unknown) => void; readonly reject: (error: TillerError) => void }>();
  #next = 1;

  constructor(private readonly port: SessionPort) {}

  units(id: number): UnitStore {
    const ask = (key: string, set: { readonly value: Json } | null): Promise<unknown> =>
      new Promise((resolve, reject) => {
        const call = this.#next++;
        this.#open.set(call, { resolve, reject });
        this.port.postMessage({ type: 'unit', id, call, key, set });
      });
    return {
      get: (key) => ask(key, null),
      set: async (key, value) => void (await ask(key, { value })),
    };
  }

  answer({ call, value, error }: Extract<ToEngine, { type: 'unit' }>): void {
    const open = this.#open.get(call);
    this.#open.delete(call);
    if (error) open?.reject(TillerError.fromJSON(error));
    else open?.resolve(value);
  }
}

interface Events {
  /** Done when the server has it: a stop that came before is known then, so that it costs one token at most. */
  readonly step: (step: Extract<FromEngine, { type: 'step' }>['step']) => Promise<void>;
  readonly progress: (done: number, total: number) => void;
  readonly report: JobListener;
  readonly units: UnitStore;
  readonly runJob: RunJob | null;
}

async function perform(engine: Engine, work: Work, signal: AbortSignal, events: Events): Promise<unknown> {
  switch (work.kind) {
    case 'generate': {
      const steps = engine.generate({ ...work.request, graph: bound(work.request.graph), signal });
      for (;;) {
        const next = await steps.next();
        if (next.done) return next.value;
        await events.step(next.value);
      }
    }
    case 'score': {
      const scores = await engine.score({ ...work.request, graph: bound(work.request.graph), signal, onProgress: events.progress });
      // `edited` and `kl` are the first lane's arrays: they travel once.
      const sequences = scores.sequences.map((sequence) =>
        sequence.lanes.length > 0 ? { ...sequence, edited: null, kl: null } : sequence,
      );
      return { ...scores, sequences };
    }
    case 'capture':
      return engine.capture({ ...work.request, graph: bound(work.request.graph), signal, onProgress: events.progress });
    case 'job':
      if (!events.runJob) throw new TillerError('internal', { problem: 'this runner takes no jobs' });
      return events.runJob(engine, work.job, events.units, events.report, signal);
  }
}
