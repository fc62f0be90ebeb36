import { describe, expect, it } from 'vitest';
import { runnerAddress } from './address.ts';
import { Connection, type Network } from './connection.ts';
import { description } from './documents.ts';
import { endpointPath, endpoints } from './endpoints.ts';
import { checkVersions } from './protocol.ts';

const codeOf = async (work: () => unknown): Promise<unknown> => {
  try {
    await work();
    return 'no error';
  } catch (error) {
    return (error as { code?: unknown }).code ?? error;
  }
};

const network = (answer: (url: string, init: RequestInit) => Response | Promise<Response>, origin: string | null = null): Network => ({
  fetch: async (url, init = {}) => answer(url, init),
  socket: () => {
    throw new Error('no sockets here');
  },
  origin,
});
const to = (net: Network, token: string | null = null): Connection => new Connection({ address: 'http://127.0.0.1:4600/', token }, net);

describe('addresses of runners', () => {
  it.each([
    ['http://127.0.0.1:4600', 'http://127.0.0.1:4600'],
    ['localhost:4600', 'http://localhost:4600'],
    [' https://lab.example/tiller/ ', 'https://lab.example/tiller'],
    ['http://[::1]:4600/', 'http://[::1]:4600'],
  ])('takes %s', (given, address) => {
    expect(runnerAddress(given, null)).toBe(address);
  });

  it.each(['', 'ftp://a', 'http://user:pass@a', 'http://a?x=1', 'http://', 'http://a:b'])('refuses %s', async (given) => {
    expect(await codeOf(() => runnerAddress(given, null))).toBe('runner/address');
  });

  it('says that an https page cannot reach plain http elsewhere, and lets it reach this machine', async () => {
    const origin = 'https://lab.example';
    expect(await codeOf(() => runnerAddress('http://192.168.1.9:4600', origin))).toBe('runner/mixed-content');
    expect(await codeOf(() => runnerAddress('http://gpu.local:4600', origin))).toBe('runner/mixed-content');
    for (const local of ['http://localhost:4600', 'http://127.0.0.1:4600', 'http://[::1]:4600', 'https://gpu.local'])
      expect(runnerAddress(local, origin)).toBe(local);
    expect(runnerAddress('http://192.168.1.9:4600', 'http://localhost:4173')).toBe('http://192.168.1.9:4600');
  });
});

describe('versions', () => {
  const here = { protocol: 2, graph: 1 };
  it('says which side is older and what to do', () => {
    const message = (theirs: number): string => {
      try {
        checkVersions({ protocol: theirs, graph: 1, program: '0.9.0' }, here);
        return '';
      } catch (error) {
        const { code, message: text, fix } = error as { code: string; message: string; fix: string };
        return `${code} ${text} ${fix}`;
      }
    };
    expect(message(2)).toBe('');
    expect(message(1)).toMatch(/^runner\/version .*the runner is older.*Update Tiller on the runner \(it has 0\.9\.0\)/);
    expect(message(3)).toMatch(/^runner\/version .*this side is older.*Update Tiller here/);
    expect(() => checkVersions({ protocol: 2, graph: 2, program: '' }, here)).toThrow(/graph documents/);
  });

  it('are looked at before anything else of an unknown document', async () => {
    const net = network(() => Response.json({ protocol: 99, graph: 1, program: '7.0.0', all: 'else is new' }));
    expect(await codeOf(() => to(net).capabilities())).toBe('runner/version');
  });
});

describe('a connection', () => {
  it('sends the token with every request and nowhere else', async () => {
    const seen: { url: string; auth: unknown }[] = [];
    const token = 'abcdefghijklmnop';
    const net = network((url, { headers }) => {
      seen.push({ url, auth: (headers as Record<string, string>).authorization });
      return Response.json({ missing: [] });
    });
    await to(net, token).sendTensors({ tensors: new Map([['a'.repeat(64), new Float32Array(2)]]) });
    expect(seen).toEqual([{ url: 'http://127.0.0.1:4600/v1/tensors/missing', auth: `Bearer ${token}` }]);
    expect(await codeOf(() => to(net, 'bad token\n x'))).toBe('runner/token');
  });

  it('sends a tensor only where it is missing', async () => {
    const [known, unknown] = ['a'.repeat(64), 'b'.repeat(64)];
    const put: string[] = [];
    const net = network((url, { method }) => {
      if (method === 'PUT') put.push(url);
      return Response.json(method === 'PUT' ? { sha256: unknown, bytes: 4 } : { missing: [unknown] });
    });
    const data = new Float32Array(1);
    await to(net).sendTensors({ tensors: new Map([[known, data], [unknown, data]]) }); // prettier-ignore
    expect(put).toEqual([`http://127.0.0.1:4600/v1/tensors/${unknown}`]);
  });

  it('names what goes wrong', async () => {
    const ask = (net: Network, signal?: AbortSignal): Promise<unknown> =>
      codeOf(() => to(net).ask('description', description, { parameters: { model: 'm' }, signal }));
    expect(await ask(network(() => Promise.reject(new TypeError('fetch failed'))))).toBe('runner/unreachable');
    expect(await ask(network(() => new Response('<html>', { status: 502 })))).toBe('runner/answer');
    expect(await ask(network(() => new Response('<html>')))).toBe('runner/answer');
    expect(await ask(network(() => Response.json({ name: 1 })))).toBe('runner/answer');
    expect(
      await ask(
        network(() => Response.json({}), null),
        AbortSignal.abort(),
      ),
    ).toBe('request/aborted');
    const error = { code: 'runner/model', message: 'm', why: 'w', fix: 'f', details: { model: 'm', known: 'x' } };
    expect(await ask(network(() => Response.json({ error }, { status: 404 })))).toBe('runner/model');
    const news = { ...error, code: 'runner/of-tomorrow' };
    expect(await ask(network(() => Response.json({ error: news }, { status: 400 })))).toBe('runner/answer');
  });
});

describe('the table of endpoints', () => {
  it('fills parameters in, escaped', () => {
    expect(endpointPath('score', { model: 'a/../b c' })).toBe('/v1/models/a%2F..%2Fb%20c/score');
    expect(new Set(Object.values(endpoints).map(({ method, path }) => `${method} ${path}`)).size).toBe(Object.keys(endpoints).length);
  });
});
