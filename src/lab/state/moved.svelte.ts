import { readRun, type RunRecord } from '../run-record.ts';
import { compareRuns, ranElsewhere, type ReceiptedRun, type RunComparison } from '../run-comparison.ts';
import { readKept, writeKept } from './kept.ts';
import { lab } from './lab.svelte.ts';
import { run } from './run.svelte.ts';
import { session } from './session.svelte.ts';

const withReceipt = (record: RunRecord | null): ReceiptedRun | null =>
  record?.receipt && record.state === 'done' ? { ...record, receipt: record.receipt } : null;

/** The last run on the model that was left, to be looked at beside a run on the one that is here. Outlives a reload. */
class Moved {
  before = $state.raw<ReceiptedRun | null>(null);
  #opened = false;

  async open(): Promise<void> {
    if (this.#opened) return;
    this.#opened = true;
    const kept = withReceipt(readRun(await readKept('run.before')));
    this.before ??= kept;
  }

  /** To be called when another model is there, with what stood on the page before. */
  async leave(record: RunRecord | null): Promise<void> {
    await this.open();
    const left = withReceipt(record);
    const loaded = session.loaded;
    if (!left || !loaded || run.recorded) return;
    const { receipt } = left;
    const here =
      receipt.model.identity === loaded.info.identity &&
      receipt.model.quantization === loaded.info.quantization &&
      JSON.stringify(receipt.model.place) === JSON.stringify(loaded.choice.place) &&
      receipt.engine.name === loaded.info.engine;
    if (here) return;
    this.before = left;
    await writeKept('run.before', left);
  }

  async forget(): Promise<void> {
    this.before = null;
    await writeKept('run.before', null);
  }

  /** Both runs, once there is one here that is of another model or place than the one that was left. */
  get comparison(): RunComparison | null {
    const now = this.now;
    return this.before && now ? compareRuns(this.before, now) : null;
  }

  get now(): ReceiptedRun | null {
    if (!this.before || run.busy || run.measuring) return null;
    const now = withReceipt(run.record);
    return now && ranElsewhere(this.before.receipt, now.receipt) ? now : null;
  }

  /** Runs the prompt of the run that was left here, with its seed and sampling. */
  again(): void {
    const { before } = this;
    if (!before) return;
    if (before.input) lab.input = before.input;
    lab.sampling = before.receipt.sampling;
    lab.maxTokens = before.receipt.maxTokens;
    run.soon(0);
  }
}

export const moved = new Moved();
