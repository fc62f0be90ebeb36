import type { Experiment, ModelPlace } from '../experiment.ts';
import { samePlace } from '../experiment.ts';
import { decodeLink, isRecipeOnly, unpackExperiment } from '../share.ts';
import { readRun } from '../run-record.ts';
import { lab } from './lab.svelte.ts';
import { moved } from './moved.svelte.ts';
import { notices } from './notices.svelte.ts';
import { router } from './router.svelte.ts';
import { run } from './run.svelte.ts';
import { runners } from './runners.svelte.ts';
import { session } from './session.svelte.ts';
import { settings } from './settings.svelte.ts';

/** What is on the page when it opens: a shared run, else what the last visit left, else the recorded example. */
class Opening {
  /** A shared run whose model is not the loaded one and is too big to fetch unasked. */
  needsModel = $state.raw<Experiment | null>(null);

  async start(): Promise<void> {
    let shared = false;
    router.start((link) => {
      shared = this.#openLink(link) || shared;
    });
    if (!shared) {
      const restored = lab.restore();
      const ran = run.restore();
      if (!restored && !ran) await this.#showRecording();
    }
    if (settings.autoload && this.#free(lab.model.place) && !this.needsModel && session.state.kind === 'none') await this.loadModel();
  }

  /** Whether a model can be loaded unasked: it costs no download, and no address is called that this browser does not know. */
  #free(place: ModelPlace): boolean {
    return place.kind === 'embedded' || (place.kind === 'runner' && runners.entry(place.address) !== null);
  }

  /** Loads the experiment's model; then runs what was waiting for it, and makes directions that a link brought as a recipe only. */
  async loadModel(): Promise<void> {
    this.needsModel = null;
    const left = run.record;
    if (!(await session.load(lab.model))) return;
    // What suited the file is known now; a link of this run says it.
    if (session.loaded) lab.model = session.loaded.choice;
    await moved.leave(left);
    run.modelReady();
    await this.refill();
  }

  /** After the device was lost: a fresh engine, and the run again from its seed, which gives the same text. */
  async resume(): Promise<void> {
    const interrupted = run.state === 'failed' || run.state === 'running';
    if ((await session.recover()) && interrupted) await run.start();
  }

  async refill(): Promise<void> {
    const { palette } = lab.steering;
    if (!palette || !isRecipeOnly(palette) || palette.recipe.kind === 'file' || palette.recipe.kind === 'fit') return;
    try {
      const full = await session.client.direction(palette.recipe, null);
      if (lab.steering.palette === palette) lab.fillPalette(full);
    } catch (cause) {
      notices.fail(cause);
    }
  }

  #openLink(link: string): boolean {
    try {
      const experiment = decodeLink(link);
      run.stop();
      lab.open(experiment, { fresh: false });
      const loaded = session.loaded;
      const here = loaded !== null && session.ready && samePlace(loaded.choice.place, experiment.model.place);
      const { place } = experiment.model;
      if (place.kind !== 'embedded' && !here) this.needsModel = experiment;
      if (place.kind === 'runner' && runners.entry(place.address) === null) runners.wanted = place.address;
      run.soon(0);
      if (here) void this.refill();
      else if (experiment.model.place.kind === 'embedded' && session.state.kind !== 'none' && session.state.kind !== 'loading')
        void this.loadModel();
      return true;
    } catch (cause) {
      notices.fail(cause);
      return false;
    }
  }

  async #showRecording(): Promise<void> {
    try {
      const response = await fetch('./recorded.json');
      if (!response.ok) return;
      const recording = (await response.json()) as { experiment?: unknown; run?: unknown };
      const record = readRun(recording.run);
      if (!record) return;
      lab.open(unpackExperiment(recording.experiment), { fresh: true });
      run.show(record, { recorded: true });
    } catch {
      // Without the recording the page is empty until the model is there; nothing else is missing.
    }
  }
}

export const opening = new Opening();
