import type { ErrorData } from '../../errors/error.ts';
import { writeGraph } from '../../graph/vectors.ts';
import type { BoundGraph } from '../../graph/document.ts';
import type { PatchEffect, PatchPlaceRef, PatchStudy } from '../../evals/patch-study.ts';
import type { PointName } from '../../graph/points.ts';
import { download } from '../download.ts';
import type { PatchEvent, PatchView } from '../engine-protocol.ts';
import { examplePatch, layerPoints, readPatchResult, readPatchSettings, type PatchResult, type PatchSettings } from '../patch-choice.ts';
import { formatSeconds, Rate } from '../progress-text.ts';
import { readKept, writeKept } from './kept.ts';
import { lab } from './lab.svelte.ts';
import { asError, notices } from './notices.svelte.ts';
import { router } from './router.svelte.ts';
import { session } from './session.svelte.ts';
import { readStored, writeStored } from './stored.ts';

/** Milliseconds that typing rests before the prompts are tokenised again. */
const restMs = 250;

/** What there is to draw, of a study that runs or has run. */
export interface PatchShown {
  readonly ends: Pick<PatchStudy, 'clean' | 'corrupted'>;
  readonly effects: readonly { readonly point: PointName; readonly places: readonly PatchEffect[] }[];
  readonly shape: PatchResult['shape'];
}

/** Patching between two prompts: what was chosen, how it is tokenised, the study that runs or has run. */
class Patch {
  settings = $state.raw<PatchSettings>(examplePatch);
  view = $state.raw<PatchView | null>(null);
  viewError = $state.raw<ErrorData | null>(null);
  state = $state<'idle' | 'running' | 'done' | 'stopped' | 'failed'>('idle');
  progress = $state.raw<{ readonly text: string; readonly share: number } | null>(null);
  /** Parts of the work that an earlier run had done. */
  reused = $state(0);
  error = $state.raw<ErrorData | null>(null);
  result = $state.raw<PatchResult | null>(null);
  open = $state.raw<PatchPlaceRef | null>(null);
  sending = $state(false);
  #told = $state.raw<PatchShown | null>(null);
  #opened = false;
  #rest: ReturnType<typeof setTimeout> | null = null;
  #looks = 0;
  #running: AbortController | null = null;
  #refused = false;

  /** Takes up what the last visit left. */
  async restore(): Promise<void> {
    if (this.#opened) return;
    this.#opened = true;
    const stored = readPatchSettings(readStored('patch'));
    if (stored) this.settings = stored;
    const result = readPatchResult(await readKept('patch.result'));
    if (result && this.state === 'idle') {
      this.result = result;
      this.state = 'done';
    }
  }

  change(change: Partial<PatchSettings>): void {
    this.settings = { ...this.settings, ...change };
    if (!writeStored('patch', this.settings)) this.#refuse();
  }

  setText(name: keyof PatchSettings['texts'], text: string): void {
    const { positions, texts } = this.settings;
    // Positions that were chosen belong to the tokens that were there.
    const prompt = name === 'clean' || name === 'corrupted';
    this.change({ texts: { ...texts, [name]: text }, positions: prompt && typeof positions !== 'string' ? 'all' : positions });
  }

  togglePosition(position: number): void {
    const { positions } = this.settings;
    const before = typeof positions === 'string' ? [] : positions;
    const next = before.includes(position) ? before.filter((at) => at !== position) : [...before, position].sort((a, b) => a - b);
    this.change({ positions: next });
  }

  #refuse(): void {
    if (this.#refused) return;
    this.#refused = true;
    notices.say('The browser refuses to keep these prompts or results (its storage is off or full).');
  }

  /** Tokenises again once typing rests. */
  look(): void {
    if (this.#rest !== null) clearTimeout(this.#rest);
    this.#rest = setTimeout(() => {
      this.#rest = null;
      void this.#look();
    }, restMs);
  }

  async #look(): Promise<void> {
    const mine = ++this.#looks;
    const { texts, positions } = this.settings;
    try {
      const view = await session.client.patchView({ texts, positions });
      if (mine !== this.#looks) return;
      this.view = view;
      this.viewError = null;
    } catch (cause) {
      if (mine !== this.#looks) return;
      this.view = null;
      this.viewError = asError(cause);
    }
  }

  get busy(): boolean {
    return this.state === 'running';
  }

  get shown(): PatchShown | null {
    const { result } = this;
    return result ? { ends: result.study, effects: result.study.points, shape: result.shape } : this.#told;
  }

  /** Whether what is chosen now is not what was measured. */
  get stale(): boolean {
    const { result, settings } = this;
    if (!result) return false;
    return JSON.stringify(result.settings) !== JSON.stringify(settings) || (session.loaded !== null && this.otherModel);
  }

  get otherModel(): boolean {
    return this.result !== null && session.loaded?.info.identity !== this.result.identity;
  }

  async start(): Promise<void> {
    const { loaded } = session;
    if (!loaded || this.busy) return;
    const abort = new AbortController();
    this.#running = abort;
    const { settings } = this;
    const { layers, heads, identity } = loaded.info;
    const shape = { layers, heads };
    this.state = 'running';
    this.error = null;
    this.result = null;
    this.open = null;
    this.progress = null;
    this.reused = 0;
    this.#told = null;
    const rate = new Rate();
    try {
      const points: PointName[] = settings.layers ? ['z', ...layerPoints] : ['z'];
      const { texts, positions } = settings;
      const study = await session.client.patchStudy(
        { texts, positions, points },
        (event) => this.#running === abort && this.#tell(event, shape, rate),
        abort.signal,
      );
      if (this.#running !== abort) return;
      this.result = { version: 1, settings, study, shape, modelLabel: loaded.label, identity };
      this.state = 'done';
      if (!(await writeKept('patch.result', this.result))) this.#refuse();
    } catch (cause) {
      if (this.#running !== abort) return;
      const error = asError(cause);
      if (error.code === 'request/aborted') this.state = 'stopped';
      else {
        session.noteLoss(error);
        this.error = error;
        this.state = 'failed';
      }
    }
  }

  #tell(event: PatchEvent, shape: PatchResult['shape'], rate: Rate): void {
    if (event.type === 'ends') this.#told = { ends: event, effects: [], shape };
    else if (event.type === 'progress') {
      const { done, total, reused } = event;
      this.reused = reused;
      const speed = rate.of({ stage: 'patching', done, total, unit: 'layers' }, performance.now());
      const left = speed !== null && speed > 0 && done < total ? `, about ${formatSeconds((total - done) / speed)} left` : '';
      const before = reused > 0 ? `, ${reused} of them from an earlier run` : '';
      this.progress = { text: `patching: ${done} of ${total} parts${before}${left}`, share: done / total };
    } else if (this.#told) {
      const { effects } = this.#told;
      const old = effects.find(({ point }) => point === event.point)?.places ?? [];
      const places = [...old, ...event.effects].sort((a, b) => b.share - a.share);
      this.#told = { ...this.#told, effects: [...effects.filter(({ point }) => point !== event.point), { point: event.point, places }] };
    }
  }

  stop(): void {
    this.#running?.abort();
  }

  /** The strongest heads as a graph that sets them to what the clean prompt has there. */
  async #graph(count: number): Promise<BoundGraph | null> {
    const { result } = this;
    const heads = result?.study.points.find(({ point }) => point === 'z')?.places;
    if (!result || !heads) return null;
    const places = heads.slice(0, count).map(({ layer, head }): PatchPlaceRef => ({ point: 'z', layer, head }));
    const { texts } = result.settings;
    return session.client.patchGraph({ texts, positions: result.study.positions, places }, new AbortController().signal);
  }

  async #withGraph(count: number, use: (graph: BoundGraph) => void): Promise<void> {
    this.sending = true;
    try {
      const graph = await this.#graph(count);
      if (graph) use(graph);
    } catch (cause) {
      notices.fail(cause);
    } finally {
      this.sending = false;
    }
  }

  /** The graph replaces the steering, as one step that can be undone, and the corrupted prompt is what is gone on from. */
  send(count: number): Promise<void> {
    return this.#withGraph(count, (graph) => {
      const prompt = this.result?.settings.texts.corrupted ?? '';
      lab.input = { mode: 'text', prompt, system: '' };
      lab.setGraph(graph, lab.steering.palette, lab.steering.tokens, 1);
      router.go('steer');
    });
  }

  save(count: number): Promise<void> {
    return this.#withGraph(count, (graph) => {
      const { json, safetensors } = writeGraph(graph);
      download('patching.json', json, 'application/json');
      if (safetensors) download('patching.safetensors', new Uint8Array(safetensors), 'application/octet-stream');
    });
  }
}

export const patch = new Patch();
