import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import type { PatchStudy } from '../src/evals/patch-study.ts';
import { graphHash } from '../src/graph/hash.ts';
import { readGraph } from '../src/graph/vectors.ts';
import { Scratch, execute, golden } from '../test/cli.ts';

const scratch = new Scratch();
afterAll(() => scratch.remove());

const on = ['--model', golden('real_stories260K/model'), '--engine', 'reference', '--results', scratch.path('results')];
const prompts = ['--clean', 'One day he took', '--corrupted', 'One day she took', '--wanted', ' his', '--unwanted', ' her'];

interface Patched extends PatchStudy {
  readonly graph?: string;
  readonly written: readonly string[];
}
async function patch(...more: string[]): Promise<Patched> {
  const result = await execute(['patch', ...on, ...prompts, ...more, '--json']);
  expect(result.status, result.stderr).toBe(0);
  return JSON.parse(result.stdout) as Patched;
}

describe('tiller patch', () => {
  it('measures every head, and writes the strongest as a graph that does what the table says', async () => {
    const out = scratch.path('p.json');
    const study = await patch('--out', out, '--count', '1');
    const [{ point, places }] = study.points;
    expect([point, places.length]).toEqual(['z', 40]);
    for (const { share, difference } of places)
      expect(study.corrupted + share * (study.clean - study.corrupted)).toBeCloseTo(difference, 6);
    const shares = places.map(({ share }) => share);
    expect(shares).toEqual([...shares].sort((a, b) => b - a));

    const graph = readGraph(readFileSync(out, 'utf8'), new Uint8Array(readFileSync(out.replace('.json', '.safetensors'))));
    expect(graphHash(graph.document)).toBe(study.graph);
    expect(graph.document.nodes).toHaveLength(study.positions.length);
    expect(graph.document.nodes[0]).toMatchObject({ edit: 'set', at: { point: 'z', layer: places[0].layer, head: places[0].head } });
  });

  it('patches layers at chosen positions, and takes positions before the first difference for what they are', async () => {
    const all = await patch('--points', 'resid_pre,mlp_out');
    expect(all.points.map(({ point, places }) => [point, places.length])).toEqual([
      ['resid_pre', 5],
      ['mlp_out', 5],
    ]);
    expect(all.points[0].places.find(({ layer }) => layer === 0)?.share).toBeCloseTo(1, 4);
    const chosen = await patch('--points', 'resid_pre,mlp_out', '--at', JSON.stringify({ at: all.positions }));
    expect(chosen).toEqual(all);
    const last = await patch('--points', 'resid_pre', '--at', 'last');
    expect(last.positions).toHaveLength(1);
    expect(last.points[0].places.find(({ layer }) => layer === 0)?.share).toBeCloseTo(0, 4);
  });

  it('prints tokens, both differences and a table', async () => {
    const { status, stdout, stderr } = await execute(['patch', ...on, ...prompts, '--points', 'z,resid_pre']);
    expect(stderr).toContain('is the clean run itself');
    expect(status).toBe(0);
    expect(stdout).toMatch(/^clean {6}"<s>" /);
    expect(stdout).toMatch(/clean -?\d+\.\d{3}, corrupted -?\d+\.\d{3} nats/);
    expect(stdout).toMatch(/layer {2}head +share {2}difference/);
  });

  it('refuses what cannot be patched, and says why', async () => {
    const refused = async (...argv: string[]): Promise<[number | null, string]> => {
      const { status, stderr } = await execute(['patch', ...on, ...argv]);
      return [status, stderr];
    };
    const longer = await refused('--clean', 'One day he was', '--corrupted', 'One day', '--wanted', 'his', '--unwanted', 'her');
    expect(longer[0]).toBe(1);
    expect(longer[1]).toMatch(/" he" .*against.*eval\/prompt-lengths/s);
    expect((await refused(...prompts.slice(0, 6)))[1]).toContain('--unwanted TEXT is needed');
    expect((await refused(...prompts, '--points', 'embed'))[1]).toContain('--points has "embed"');
    expect((await refused(...prompts, '--count', '3'))[1]).toContain('give --out');
    expect((await refused(...prompts, '--at', 'none'))[1]).toContain('takes no token');
  });
});
