import { canonicalize } from 'json-canonicalize';
import * as v from 'valibot';
import { TillerError, type ErrorData } from '../../errors/error.ts';
import type { Part } from '../../examples/reading.ts';
import { exampleSets } from '../../examples/sets.ts';
import { doseGraph } from '../../fit/dose.ts';
import type { BoundGraph } from '../../graph/document.ts';
import type { FitEvent, PlaceView, SweepPoint } from '../../fit/report.ts';
import type { Recipe, SweepChoice } from '../../fit/recipe.ts';
import type { MethodReport, PlaceScore } from '../../methods/method.ts';
import { methods } from '../../methods/methods.ts';
import { version } from '../../../package.json';
import type { JobView } from '../../jobs/job.ts';
import type { ExamplesRequest, ExamplesSource, ExamplesView, FitAnswer } from '../engine-protocol.ts';
import { defaultChoice, labelList, readChoice, type FitChoice, type SourceChoice } from '../fit-choice.ts';
import { recipeFor, type Effort } from '../fit-effort.ts';
import { fitJob, strangersFit, type SentJob } from '../fit-job.ts';
import { fitOfJob, followFit } from '../fit-on-runner.ts';
import { describeFitProgress, stageTitle, type FitProgress } from '../fit-progress.ts';
import { chanceOf, fittedElsewhere, readResult, receiptTime, type FitResult } from '../fit-result.ts';
import { importedGraph } from '../import-graph.ts';
import { progressWords, stateWords } from '../job-words.ts';
import { Rate } from '../progress-text.ts';
import { background } from './background.svelte.ts';
import { jobs, type KnownJob } from './jobs.svelte.ts';
import { readKept, writeKept } from './kept.ts';
import { lab } from './lab.svelte.ts';
import { asError, notices } from './notices.svelte.ts';
import { router } from './router.svelte.ts';
import { runners } from './runners.svelte.ts';
import { keepSent, type SentFit } from './sent-fits.ts';
import { session } from './session.svelte.ts';
import { readStored, writeStored } from './stored.ts';

/** Milliseconds that typing rests before the examples are read again. */
const restMs = 250;

const jobRef = v.object({ address: v.string(), id: v.string() });
type JobRef = v.InferOutput<typeof jobRef>;

export type FitState = 'idle' | 'running' | 'done' | 'stopped' | 'failed';
export type PlaceRef = Pick<PlaceScore, 'layer' | 'head'>;

/** What a fit has told so far. */
interface Told {
  readonly report: MethodReport;
  readonly rows: Readonly<Record<Part, number>>;
}

/** The Fit page: what was chosen, what it looks like, the fit that runs or has run. Lives as long as the page of the browser. */
class Fit {
  choice = $state.raw<FitChoice>(defaultChoice);
  file = $state.raw<Blob | null>(null);
  view = $state.raw<ExamplesView | null>(null);
  viewError = $state.raw<ErrorData | null>(null);
  reading = $state(false);

  state = $state<FitState>('idle');
  progress = $state.raw<{ readonly text: string; readonly share: number | null } | null>(null);
  told = $state.raw<Told | null>(null);
  points = $state.raw<readonly SweepPoint[]>([]);
  notes = $state.raw<readonly string[]>([]);
  /** Units of work that an earlier run had done. */
  reused = $state.raw<readonly string[]>([]);
  error = $state.raw<ErrorData | null>(null);
  result = $state.raw<FitResult | null>(null);
  /** The last result of another model or place, to be looked at beside this one. */
  previous = $state.raw<FitResult | null>(null);
  /** Point of the sweep to take along instead of the recommended one. */
  picked = $state.raw<SweepPoint | null>(null);

  /** Where a fit on a runner's model is done: there, as a job that outlives this page, or from here, step by step. */
  where = $state<'job' | 'live'>('job');
  /** The job that is followed. */
  job = $state.raw<JobRef | null>(null);

  place = $state.raw<PlaceRef | null>(null);
  placeView = $state.raw<PlaceView | null>(null);
  placeError = $state.raw<ErrorData | null>(null);

  #opened = false;
  #texts = new Map<string, string>();
  #reading: AbortController | null = null;
  #fitting: AbortController | null = null;
  #looking: AbortController | null = null;
  #rest: ReturnType<typeof setTimeout> | null = null;
  #refused = false;

  /** Takes up what the last visit left; then what the address asks for. */
  async open(): Promise<void> {
    if (this.#opened) return;
    this.#opened = true;
    const stored = readChoice(readStored('fit'));
    if (stored) this.choice = stored;
    else if (lab.model.place.kind === 'embedded') this.setSweep({ neutral: 'stories' });
    if (this.choice.source.kind === 'file') {
      const file = await readKept('fit.file');
      if (file instanceof Blob) this.file = file;
      else this.choice = { ...this.choice, source: defaultChoice.source };
    }
    this.previous = readResult(await readKept('fit.previous'));
    const result = readResult(await readKept('fit.result'));
    if (result && this.state === 'idle') {
      this.result = result;
      this.state = 'done';
    }
    void this.#takeUp();
  }

  /** Puts on the page what an address asks for: `#/fit?set=NAME&method=NAME`. */
  follow(query: URLSearchParams): void {
    const [set, method] = [query.get('set'), query.get('method')];
    if (set !== null && exampleSets.some((row) => row.name === set)) this.setSource({ kind: 'set', name: set });
    if (method !== null && methods.some(({ name }) => name === method)) this.setMethod(method);
  }

  #change(change: Partial<FitChoice>): void {
    this.choice = { ...this.choice, ...change };
  }

  setSource(source: SourceChoice, file: Blob | null = null): void {
    this.file = file;
    this.#change({ source, labels: defaultChoice.labels });
    if (file) void writeKept('fit.file', file).then((kept) => kept || this.#refuse());
  }

  setLabels(labels: FitChoice['labels']): void {
    this.#change({ labels });
  }

  setRecipe(change: Partial<Recipe>): void {
    this.#change({ recipe: { ...this.choice.recipe, ...change } });
  }

  /** Settings belong to a method: another one begins with its defaults. */
  setMethod(method: string): void {
    if (method !== this.choice.recipe.method) this.setRecipe({ method, settings: {}, behaviour: [] });
  }

  setSweep(change: Partial<SweepChoice>): void {
    const { sweep } = this.choice.recipe;
    if (sweep) this.setRecipe({ sweep: { ...sweep, ...change } });
  }

  /** Keeps what was chosen; called by the page whenever it changes, and when the page is left. */
  keep(): void {
    const { source, recipe } = this.choice;
    if (!writeStored('fit', this.choice)) this.#refuse();
    router.describe('fit', { ...(source.kind === 'set' ? { set: source.name } : {}), method: recipe.method });
  }

  #refuse(): void {
    if (this.#refused) return;
    this.#refused = true;
    notices.say('The browser refuses to keep these examples or results (its storage is off or full): save them before you leave.');
  }

  async #source({ source }: FitChoice): Promise<ExamplesSource | null> {
    switch (source.kind) {
      case 'pasted':
        return source.text.trim() === '' ? null : { name: 'the pasted text', text: source.text };
      case 'file':
        return this.file && this.choice.source.kind === 'file' && this.choice.source.name === source.name
          ? { name: source.name, file: this.file }
          : null;
      case 'set':
        return { name: source.name, text: await this.#setText(source.name) };
    }
  }

  async #setText(name: string): Promise<string> {
    const known = this.#texts.get(name);
    if (known !== undefined) return known;
    const row = exampleSets.find((set) => set.name === name);
    const response = await fetch(new URL(row?.file ?? '', document.baseURI));
    if (!response.ok) throw new Error(`${name} cannot be loaded: the server answered ${response.status}`);
    const text = await response.text();
    this.#texts.set(name, text);
    return text;
  }

  async #request(choice: FitChoice): Promise<ExamplesRequest | null> {
    const source = await this.#source(choice);
    const { labels, recipe } = choice;
    const [wanted, unwanted] = [labelList(labels.wanted), labelList(labels.unwanted)];
    return source && { source, reading: { ...(wanted && { wanted }), ...(unwanted && { unwanted }) }, recipe };
  }

  /** Reads the examples again once typing rests. */
  look(): void {
    if (this.#rest !== null) clearTimeout(this.#rest);
    this.#rest = setTimeout(() => {
      this.#rest = null;
      void this.#look();
    }, restMs);
  }

  async #look(): Promise<void> {
    this.#reading?.abort();
    const abort = new AbortController();
    this.#reading = abort;
    this.reading = true;
    try {
      const request = await this.#request(this.choice);
      const view = request && (await session.client.examples(request, abort.signal));
      if (this.#reading !== abort) return;
      this.view = view;
      this.viewError = null;
    } catch (cause) {
      if (this.#reading !== abort) return;
      this.view = null;
      this.viewError = asError(cause);
    } finally {
      if (this.#reading === abort) this.reading = false;
    }
  }

  get busy(): boolean {
    return this.state === 'running';
  }

  /** The recipe as it runs: with what was left open filled in. */
  get recipe(): Recipe {
    const { recipe, effort } = this.choice;
    const info = session.loaded?.info;
    return info ? recipeFor(recipe, effort, info) : recipe;
  }

  setEffort(effort: Effort): void {
    this.#change({ effort });
  }

  /** The runner and its model, where the loaded model is one of a runner. */
  get runner(): { readonly address: string; readonly name: string } | null {
    const place = session.loaded?.choice.place;
    return place?.kind === 'runner' ? place : null;
  }

  async start(): Promise<void> {
    const { loaded } = session;
    const { view, recipe, choice, runner } = this;
    if (!loaded || !view) return;
    const { name, kind, classes, sha256 } = view.set;
    const sent: SentJob = {
      choice: { ...choice, recipe },
      asked: choice.recipe,
      set: { name, kind, classes, sha256 },
      chance: chanceOf(view.preview.balance),
      identity: loaded.info.identity,
      modelLabel: loaded.label,
      file: this.file,
    };
    await this.#run(sent, async (tell, signal) => {
      const request = await this.#request(choice);
      if (!request) throw new TillerError('request/invalid', { problem: 'the examples are not on the page any more' });
      if (!runner || this.where === 'live') {
        this.#say('starting');
        return session.client.fit({ ...request, recipe, version, made: new Date().toISOString() }, tell, signal);
      }
      const set = await session.client.exampleSet(request, signal);
      const title = `${recipe.method}, ${name}`;
      const { id } = await jobs.submit(runner.address, fitJob(runner.name, set, recipe), title, sent, signal);
      return this.#follow({ address: runner.address, id }, tell, signal);
    });
  }

  /** Follows a job from its beginning to its end; it is taken up again after a reload. */
  async #follow(job: JobRef, tell: (event: FitEvent) => void, signal: AbortSignal): Promise<FitAnswer> {
    this.job = job;
    writeStored('fit.job', job);
    const onView = (view: JobView): void => {
      jobs.take(job.address, view);
      if (view.state === 'queued' || view.cancelling) this.progress = { text: `on the runner: ${stateWords(view)}`, share: null };
      else if (view.progress?.stage === 'loading') this.progress = progressWords(view.progress, null);
    };
    try {
      return await followFit(jobs.client(job.address), job.id, { onEvent: tell, onView }, signal);
    } finally {
      // A job that this page lost sight of goes on; where it ended, there is nothing to take up.
      if (!signal.aborted) writeStored('fit.job', null);
      this.job = null;
    }
  }

  /** Takes up the job that was followed when the page went. */
  async #takeUp(): Promise<void> {
    const stored = v.safeParse(jobRef, readStored('fit.job'));
    if (!stored.success || !runners.entry(stored.output.address)) return;
    const sent = await jobs.sent(stored.output.id);
    if (sent) await this.#run(sent, (tell, signal) => this.#follow(stored.output, tell, signal));
  }

  /** Puts the result of a job that has ended on this page. @throws jobs/*, runner/*, network/failed */
  async openJob({ address, id, view }: Pick<KnownJob, 'address' | 'id' | 'view'>): Promise<void> {
    await this.open();
    if (!view) return;
    const outcome = await fitOfJob(jobs.client(address), view);
    const sent = (await jobs.sent(id)) ?? strangersFit(outcome, view, address);
    this.stop();
    if (sent.choice.source.kind !== 'file' || sent.file) {
      this.file = sent.file;
      this.choice = { ...sent.choice, recipe: sent.asked };
    }
    this.picked = null;
    this.closePlace();
    this.error = null;
    await this.#accept(sent, outcome, this.result);
  }

  async #accept(
    { choice, asked, set, modelLabel, identity, chance }: SentJob,
    outcome: FitAnswer,
    before: FitResult | null,
  ): Promise<void> {
    this.result = { version: 1, choice, asked, outcome, set, modelLabel, identity, chance };
    this.state = 'done';
    if (before && fittedElsewhere(before, this.result)) await this.#keepPrevious(before);
    if (!(await writeKept('fit.result', this.result))) this.#refuse();
  }

  async #run(sent: SentJob, work: (tell: (event: FitEvent) => void, signal: AbortSignal) => Promise<FitAnswer>): Promise<void> {
    const { result: before } = this;
    this.#fitting?.abort();
    const abort = new AbortController();
    this.#fitting = abort;
    this.state = 'running';
    this.error = null;
    this.result = null;
    this.picked = null;
    this.told = null;
    this.points = [];
    this.notes = [];
    this.reused = [];
    this.progress = null;
    this.closePlace();
    const rate = new Rate();
    try {
      const outcome = await work((event) => this.#fitting === abort && this.#tell(event, rate), abort.signal);
      if (this.#fitting === abort) await this.#accept(sent, outcome, before);
    } catch (cause) {
      if (this.#fitting !== abort) return;
      const error = asError(cause);
      if (error.code === 'request/aborted') this.state = 'stopped';
      else {
        session.noteLoss(error);
        this.error = error;
        this.state = 'failed';
      }
    } finally {
      if (this.#fitting === abort) background.work = null;
    }
  }

  #tell(event: FitEvent, rate: Rate): void {
    switch (event.type) {
      case 'progress':
        this.progress = describeFitProgress(event, rate.of(event, performance.now()));
        // A job leaves the loaded model free.
        if (!this.job) this.#say(this.progress.text);
        this.#noteReuse(event);
        break;
      case 'fitted':
        this.told = { report: event.report, rows: event.rows };
        break;
      case 'point':
        this.points = [...this.points, event.point];
        break;
      case 'note':
        this.notes = [...this.notes, event.text];
        break;
    }
  }

  async #keepPrevious(result: FitResult | null): Promise<void> {
    this.previous = result;
    if (!(await writeKept('fit.previous', result))) this.#refuse();
  }

  forgetPrevious(): Promise<void> {
    return this.#keepPrevious(null);
  }

  #noteReuse({ stage, reused, unit }: FitProgress): void {
    if (reused < 1) return;
    const kept = this.reused.filter((line) => !line.startsWith(`${stageTitle(stage)}:`));
    this.reused = [...kept, `${stageTitle(stage)}: ${Math.floor(reused)} ${unit}`];
  }

  /** Tells the other pages that the engine is at work. */
  #say(text: string): void {
    background.work = { title: 'A fit is running', text, page: 'fit', stop: () => this.stop() };
  }

  stop(): void {
    if (this.job) void jobs.cancel(this.job);
    else this.#fitting?.abort();
  }

  /** Report, points and frontier that there are to draw: of the fit that runs, or of the one that has run. */
  get shown(): Told | null {
    if (this.result) return { report: this.result.outcome.report.method, rows: this.result.outcome.report.rows };
    return this.told;
  }

  /** Whether what is chosen now is not what was fitted. */
  get stale(): boolean {
    if (!this.result) return false;
    const { choice, set, identity } = this.result;
    if (canonicalize(choice.recipe) !== canonicalize(this.recipe)) return true;
    if (this.view && this.view.set.sha256 !== set.sha256) return true;
    return session.loaded !== null && session.loaded.info.identity !== identity;
  }

  /** Looks at one head or layer closely. While the fit runs there is nothing to look with. */
  async openPlace(place: PlaceRef): Promise<void> {
    if (!this.result) return;
    this.#looking?.abort();
    const abort = new AbortController();
    this.#looking = abort;
    this.place = place;
    this.placeView = null;
    this.placeError = null;
    try {
      const { result } = this;
      const request = result && (await this.#request(result.choice));
      if (!request) throw new TillerError('request/invalid', { problem: 'the examples of this fit are not on the page any more' });
      const { recipe } = result.choice;
      const { graph } = result.outcome.fitted;
      const ask = { ...request, recipe, graph, layer: place.layer, head: place.head ?? null };
      const view = await session.client.inspect(ask, abort.signal);
      if (this.#looking === abort) this.placeView = view;
    } catch (cause) {
      const error = asError(cause);
      if (this.#looking === abort && error.code !== 'request/aborted') this.placeError = error;
    }
  }

  closePlace(): void {
    this.#looking?.abort();
    this.#looking = null;
    this.place = null;
    this.placeView = null;
    this.placeError = null;
  }

  /** The graph to take along: of the point that was picked in the sweep, else of the recommended one. */
  get graph(): BoundGraph | null {
    if (!this.result) return null;
    const { outcome } = this.result;
    return this.picked ? doseGraph(outcome.fitted, this.picked.strength, this.picked.count) : outcome.graph;
  }

  /** The fitted graph replaces the steering, as one step that can be undone. */
  #toSteer(): boolean {
    const { graph, result } = this;
    if (!graph || !result) return false;
    const name = `the fit (${result.outcome.report.method.method}, ${result.set.name})`;
    const recipe = { kind: 'fit', name, made: receiptTime(result) } as const;
    const madeOn = { identity: result.identity, label: result.modelLabel };
    const { palette, tokens } = importedGraph(graph, { recipe, name, madeOn }, lab.steering.tokens);
    lab.setGraph(graph, palette, tokens, 1);
    void keepSent({ result, file: this.file }).then((kept) => kept || this.#refuse());
    return true;
  }

  send(): void {
    if (this.#toSteer()) router.go('steer');
  }

  /**
   * A fit that was sent to Steer, made again on the model that is loaded now: same examples, same recipe, with what was left open in it filled
   * in for this model. Its graph takes the place of the old one, which Undo brings back. False where it did not come to an end; `error`
   * or `viewError` say why.
   */
  async refit({ result, file }: SentFit): Promise<boolean> {
    await this.open();
    this.file = result.choice.source.kind === 'file' ? file : this.file;
    this.choice = { ...result.choice, recipe: result.asked ?? result.choice.recipe };
    this.view = null;
    await this.#look();
    if (this.viewError) return false;
    await this.start();
    return this.state === 'done' && this.#toSteer();
  }
}

export const fit = new Fit();
