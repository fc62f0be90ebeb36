import type { Engine, LoadProgress } from '../../src/engine/engine.ts';
import { TillerError } from '../../src/errors/error.ts';
import type { Json, UnitStore } from '../../src/evals/unit-store.ts';
import type { BoundGraph } from '../../src/graph/document.ts';
import { bindGraph } from '../../src/graph/vectors.ts';
import type { JobListener, JobWork } from '../jobs/job-place.ts';
import { asTillerError } from '../output.ts';
import type { FromThread, ThreadGraph, ThreadModel, ToThread, Work } from './thread-protocol.ts';

/** The thread's side of a port: a worker's parentPort, or one end of a MessageChannel. */
export interface SessionPort {
  postMessage(message: FromThread, transfer?: readonly ArrayBuffer[]): void;
  on(event: 'message', listener: (message: ToThread) => void): unknown;
}

/** Runs a job with the engine of this thread; finished units are kept on the other side of the port. */
export type RunJob = (engine: Engine, job: JobWork, units: UnitStore, report: JobListener, signal: AbortSignal) => Promise<unknown>;

export interface SessionParts {
  readonly open: (model: ThreadModel, onProgress: (progress: LoadProgress) => void) => Promise<Engine>;
  /** Null where this runner takes no jobs. */
  readonly runJob: RunJob | null;
}

/** Milliseconds between two signs of life. */
const BEAT = 1000;

const bound = (graph: ThreadGraph | null): BoundGraph | null => graph && bindGraph(graph.document, graph.vectors);
/** Lets messages in: a stop must be heard between two tokens, on engines that compute without giving way too. */
const breathe = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** One engine behind a port: opens a model, then does what it is told until it is closed. Every failure is told as an error of the catalogue. */
export function serveEngine(port: SessionPort, parts: SessionParts): void {
  const running = new Map<number, AbortController>();
  const calls = new Calls(port);
  let engine: Engine | null = null;
  const beats = setInterval(() => port.postMessage({ type: 'beat' }), BEAT);
  beats.unref();

  const open = async (model: ThreadModel): Promise<void> => {
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
      if (!engine) throw new TillerError('internal', { problem: 'the engine thread was asked before it had a model' });
      const value = await perform(engine, work, controller.signal, {
        step: (step) => port.postMessage({ type: 'step', id, step }),
        progress: (done, total) => port.postMessage({ type: 'progress', id, done, total }),
        report: (report) => port.postMessage({ type: 'report', id, report }),
        units: calls.units(id),
        runJob: parts.runJob,
      });
      port.postMessage({ type: 'done', id, value }, buffersOf(value));
    } catch (error) {
      port.postMessage({ type: 'error', id, error: asTillerError(error).toJSON() });
    } finally {
      running.delete(id);
    }
  };

  const close = async (): Promise<void> => {
    for (const controller of running.values()) controller.abort();
    clearInterval(beats);
    await engine?.dispose().catch(() => undefined);
    engine = null;
    port.postMessage({ type: 'closed' });
  };

  port.on('message', (message) => {
    if (message.type === 'open') void open(message.model);
    else if (message.type === 'work') void run(message.id, message.work);
    else if (message.type === 'unit') calls.answer(message);
    else if (message.type === 'stop') running.get(message.id)?.abort();
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

  answer({ call, value, error }: Extract<ToThread, { type: 'unit' }>): void {
    const open = this.#open.get(call);
    this.#open.delete(call);
    if (error) open?.reject(TillerError.fromJSON(error));
    else open?.resolve(value);
  }
}

interface Events {
  readonly step: (step: Extract<FromThread, { type: 'step' }>['step']) => void;
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
        events.step(next.value);
        await breathe();
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

/** Memory of the arrays of a result that can be handed over: what is a part of something larger is copied. */
function buffersOf(value: unknown): ArrayBuffer[] {
  const found = new Set<ArrayBuffer>();
  const walk = (part: unknown): void => {
    if (part instanceof Float32Array) {
      if (part.buffer instanceof ArrayBuffer && part.byteLength === part.buffer.byteLength) found.add(part.buffer);
    } else if (Array.isArray(part)) part.forEach(walk);
    else if (typeof part === 'object' && part !== null && !ArrayBuffer.isView(part)) Object.values(part).forEach(walk);
  };
  walk(value);
  return [...found];
}
