import { expect, test } from '@playwright/test';
import type { GenerateSummary } from '../src/engine/engine.ts';
import type { HostApi, Loaded, Outcome, RunRequest, StorageState, StreamMessage } from '../src/lab/engine-protocol.ts';
import { workerOf } from './lab.ts';

interface Answer {
  readonly notes: string;
  readonly tokens: readonly number[];
  /** Bytes of packed weights in the list of what is stored. */
  readonly packed: readonly number[];
}

/** Runs in the page: loads a model that the page's server offers in a new worker, as a new page does, and lets it write. */
async function loadAnew(worker: string): Promise<Answer> {
  const { Comlink } = window as unknown as {
    Comlink: { wrap(worker: Worker): HostApi; transfer<T>(value: T, list: Transferable[]): T };
  };
  const thread = new Worker(worker, { type: 'module' });
  const host = Comlink.wrap(thread);
  const take = async <T>(outcome: Promise<Outcome<T>>): Promise<T> => {
    const result = await outcome;
    if (!result.ok) throw new Error(result.error.message);
    return result.value;
  };
  const port = (listen: (message: StreamMessage) => void): MessagePort => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = (event: MessageEvent<StreamMessage>) => listen(event.data);
    return Comlink.transfer(port2, [port2]);
  };
  const maxTokens = 8;
  const model = { place: { kind: 'served', name: 'stories15M' }, quantization: 'q4', precision: 'auto' } as const;
  const loading = { model, page: document.baseURI, hub: '', engine: 'onnx', expandBelow: 0, keepFrom: 0 } as const;
  const loaded = await take<Loaded>(
    host.load(
      1,
      loading,
      port(() => undefined),
    ),
  );
  const tokens: number[] = [];
  const input = { mode: 'text', prompt: 'Once upon a time', system: '' } as const;
  const request: RunRequest = { input, graph: null, factors: [0], maxTokens, sampling: {} };
  const stream = port((message) => {
    if (message.type === 'step') for (const token of message.lanes) if (token) tokens.push(token.id);
  });
  await take<GenerateSummary>(host.generate(2, request, stream));
  // The last tokens may come after the summary: they have a port of their own.
  while (tokens.length < maxTokens) await new Promise((resolve) => setTimeout(resolve, 10));
  const { models } = await take<StorageState>(host.storage());
  thread.terminate();
  return { notes: loaded.notes.join(' '), tokens, packed: models.map(({ packed }) => packed) };
}

/** Runs in the page: changes a byte near the end of the packed file. */
async function damage(): Promise<void> {
  const models = await (await navigator.storage.getDirectory()).getDirectoryHandle('models');
  for await (const folder of models.values()) {
    if (folder.kind !== 'directory') continue;
    const file = await (await folder.getDirectoryHandle('.tiller')).getFileHandle('weights-q4.safetensors');
    const at = (await file.getFile()).size - 1000;
    const [byte] = new Uint8Array(await (await file.getFile()).slice(at, at + 1).arrayBuffer());
    const stream = await file.createWritable({ keepExistingData: true });
    await stream.write({ type: 'write', position: at, data: new Uint8Array([byte ^ 255]) });
    await stream.close();
  }
}

test('weights quantised by one page are read packed by the next, packed anew when they are damaged, and go with their model', async ({
  page,
}) => {
  test.setTimeout(300_000);
  const worker = await workerOf(page);
  const first = await page.evaluate(loadAnew, worker);
  expect(first.notes).toMatch(/Packed weights \(0\.01 GB\) are kept in this browser’s storage/);
  expect(first.packed).toEqual([expect.any(Number)]);
  expect(first.packed[0]).toBeGreaterThan(5e6);

  const second = await page.evaluate(loadAnew, worker);
  expect(second.notes).toBe('Packed weights are read from this browser’s storage.');
  expect(second.tokens).toEqual(first.tokens);

  await page.evaluate(damage);
  const third = await page.evaluate(loadAnew, worker);
  expect(third.notes).toMatch(/are damaged: .* They are packed anew\. Packed weights .* are kept/);
  expect(third).toMatchObject({ tokens: first.tokens, packed: first.packed });
  expect((await page.evaluate(loadAnew, worker)).notes).toBe(second.notes);

  await page.goto('./#/models');
  const stored = page.getByRole('listitem').filter({ hasText: 'stories15M' });
  await expect(stored).toContainText(/complete.*, packed weights \d+ MB/);
  await stored.getByRole('button', { name: 'Delete' }).click();
  await stored.getByRole('button', { name: /^Delete 7\d MB\?$/ }).click();
  await expect(page.getByText('Nothing is stored yet.')).toBeVisible();
  const left = await page.evaluate(async () => {
    const names: string[] = [];
    for await (const name of (await (await navigator.storage.getDirectory()).getDirectoryHandle('models')).keys()) names.push(name);
    return names;
  });
  expect(left).toEqual([]);
});
