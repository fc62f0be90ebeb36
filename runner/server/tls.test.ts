import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import WebSocket from 'ws';
import { golden } from '../../test/cli.ts';
import { openTestRunner, type TestRunner } from '../../test/runner.ts';

const folder = mkdtempSync(join(tmpdir(), 'tiller-tls-'));
const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];

/** Makes a certificate of this machine's name for a day; false where there is no openssl. */
function makeCertificate(): boolean {
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
  const options = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1', '-keyout', key, '-out', cert];
  try {
    execFileSync('openssl', ['req', '-x509', ...options, ...subject], { stdio: 'ignore' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

const made = makeCertificate();
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.skipIf(!made)(`a runner with a certificate${made ? '' : ' (skipped: there is no openssl to make one)'}`, () => {
  const token = 'a-token-of-the-tests-0123456789';
  let runner: TestRunner;
  let ca: string;
  beforeAll(async () => {
    ca = readFileSync(cert, 'utf8');
    runner = await openTestRunner({
      models: [golden('llama_gqa_tied')],
      config: { token, tls: { cert: ca, key: readFileSync(key, 'utf8') } },
    });
  });
  afterAll(() => runner.close());

  const status = (authorization?: string): Promise<number> =>
    new Promise((resolve, reject) => {
      const headers = authorization ? { authorization } : {};
      const sent = request(`${runner.address}/v1/capabilities`, { ca, headers }, (answer) => {
        answer.resume();
        resolve(answer.statusCode ?? 0);
      });
      sent.on('error', reject);
      sent.end();
    });

  it('answers over TLS, to its token only', async () => {
    expect(runner.address).toMatch(/^https:/);
    expect(await status(`Bearer ${token}`)).toBe(200);
    expect(await status()).toBe(401);
  });

  it('streams tokens over TLS', async () => {
    const address = `${runner.address.replace('https', 'wss')}/v1/models/llama_gqa_tied/generate`;
    const socket = new WebSocket(address, ['tiller.1', `tiller.token.${token}`], { ca });
    const types = await new Promise<string[]>((resolve, reject) => {
      const seen: string[] = [];
      socket.on('open', () => socket.send(JSON.stringify({ type: 'start', request: { prompt: [1], maxTokens: 2, stop: [] } })));
      socket.on('message', (data: Buffer) => seen.push((JSON.parse(data.toString()) as { type: string }).type));
      socket.on('close', () => resolve(seen));
      socket.on('error', reject);
    });
    expect(types.filter((type) => type === 'step')).toHaveLength(2);
    expect(types.at(-1)).toBe('done');
  });

  it('does not answer without TLS', async () => {
    await expect(fetch(runner.address.replace('https', 'http'))).rejects.toThrow();
  });
});
