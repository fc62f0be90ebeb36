/** Hands what the benchmark asks for on to the worker that has the engine in it, as a page of ours would. */
import { wrap } from 'comlink';
import type { PageContestant } from './contestant.worker.ts';

declare global {
  var contestant: PageContestant;
}

const worker = new Worker(new URL('./contestant.worker.ts', import.meta.url), { type: 'module' });
globalThis.contestant = wrap<PageContestant>(worker);
document.title = 'ready';
