import { describe, expect, it } from 'vitest';
import { TillerError } from '../errors/error.ts';
import { diagnose, remedyFor } from './runner-problem.ts';

const address = 'http://127.0.0.1:4601';
const origin = 'http://localhost:4173';
const unreachable = new TillerError('runner/unreachable', { address, problem: 'Failed to fetch', origin });
const answers = (): Promise<Response> => Promise.resolve(new Response(null));
const refuses = (): Promise<Response> => Promise.reject(new TypeError('Failed to fetch'));

describe('a runner that a page cannot read', () => {
  it('is told apart from one that is not there', async () => {
    expect((await diagnose(unreachable, address, origin, answers)).code).toBe('runner/origin');
    expect(await diagnose(unreachable, address, origin, refuses)).toBe(unreachable);
  });

  it('is not asked again where the error is plain', async () => {
    const error = new TillerError('runner/token', { problem: 'there is none' });
    expect(await diagnose(error, address, origin, () => Promise.reject(new Error('asked')))).toBe(error);
  });
});

describe('what to type', () => {
  it.each([
    ['runner/origin', address, 'npx tiller serve --port 4601 --origin http://localhost:4173'],
    ['runner/origin', 'http://big.example:4600', 'npx tiller serve --address 0.0.0.0 --origin http://localhost:4173'],
    ['runner/unreachable', 'http://localhost:4600', 'npx tiller serve --origin http://localhost:4173'],
    ['runner/mixed-content', 'http://big.example:4600', 'ssh -L 4600:127.0.0.1:4600 big.example'],
    ['runner/token', address, null],
  ] as const)('after %s at %s', (code, place, command) => {
    expect(remedyFor({ code }, place, origin)?.command).toBe(command);
  });

  it('is nothing where the sentence says all', () => {
    expect(remedyFor({ code: 'runner/version' }, address, origin)).toBeNull();
  });
});
