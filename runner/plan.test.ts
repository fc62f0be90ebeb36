import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { publishedShapes } from '../src/model/published.ts';
import { Scratch, execute, golden, tiller } from '../test/cli.ts';
import { writeSparseModel } from '../test/weights/sparse-model.ts';

const scratch = new Scratch();
afterAll(() => scratch.remove());

interface Planned {
  readonly plans: readonly {
    readonly model: string;
    readonly engine: string;
    readonly quantization: string;
    readonly weights: number;
    readonly peak: number;
    readonly fits: boolean;
    readonly problems: readonly string[];
    readonly fitting: readonly string[];
  }[];
}
const plans = async (...words: string[]): Promise<Planned['plans']> => {
  const result = await execute(['plan', ...words, '--json']);
  expect(result.status, result.stderr).toBe(0);
  return (JSON.parse(result.stdout) as Planned).plans;
};

describe('tiller plan', () => {
  it('counts every published shape on both engines where none is named', async () => {
    const rows = await plans('--memory', '48GiB');
    expect(new Set(rows.map(({ model }) => model))).toEqual(new Set(publishedShapes.map(({ id }) => id)));
    expect(rows).toHaveLength(2 * publishedShapes.length);
    for (const row of rows) expect(row.fits).toBe(row.peak <= 48 * 2 ** 30);
    const text = await tiller(['plan', '--memory', '24GiB']);
    expect(text.stdout).toMatch(/llama-3-70b +70\.55 B +q4 +webgpu/);
    expect(text.stdout).toContain('this machine has 24.00 GiB');
  });

  it('tries every way to keep the weights of one model, by name or folder', async () => {
    const rows = await plans('--model', 'llama-3-8b', '--memory', '8e9', '--context', '2048');
    expect(rows.map(({ quantization, engine }) => `${quantization} ${engine}`)).toEqual([
      'none webgpu',
      'none onnx',
      'q8 webgpu',
      'q8 onnx',
      'q4 webgpu',
      'q4 onnx',
    ]);
    expect(rows[0]).toMatchObject({ fits: false, fitting: [expect.stringContaining('q4 weights')] });
    const [own] = await plans('--model', golden('llama_gqa_tied'), '--quantize', 'none', '--memory', '1G');
    expect(own).toMatchObject({ fits: true, problems: [] });
  });

  it.each([
    [['--memory', 'much'], '--memory'],
    [['--memory', '0'], '--memory'],
    [['--lanes', '0'], '--lanes'],
    [['--model', 'no-such'], 'no-such'],
  ])('refuses %j', async (words, named) => {
    const result = await execute(['plan', ...words]);
    expect(result.status).not.toBe(0);
    expect(result.stderr).toContain(named);
  });
});

describe('a model that cannot fit', () => {
  // 277 GiB of f32 weights: beyond the machines that tests run on.
  it.skipIf(process.availableMemory() > 250 * 2 ** 30)('is refused with the numbers before its weights are read', async () => {
    const folder = join(scratch.folder, 'llama-3-70b');
    const shape = publishedShapes.find(({ id }) => id === 'llama-3-70b');
    await writeSparseModel(folder, { config: shape!.config, shardBytes: 5e9 });
    const tokens = scratch.json('ids.json', [[1, 2, 3]]);
    const result = await tiller(['generate', '--model', folder, '--tokens', tokens, '--engine', 'onnx', '--quantize', 'none', '--json']);
    expect(result.status).toBe(1);
    const { error } = JSON.parse(result.stdout) as { error: { code: string; message: string } };
    expect(error.code).toBe('model/too-large');
    expect(error.message).toMatch(/weights 260\.\d+ GiB.*this machine has/);
  });
});
