import { createReadStream, existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium, type Browser } from '@playwright/test';
import { build } from 'vite';
import { browserExecutable } from '../../test/browser.ts';
import type { ContestantTask } from './contestant.ts';
import type { MeasuredTurn } from './node-contestant.ts';
import type { PageContestant } from './page/contestant.worker.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const built = join(root, '.cache', 'bench', 'page');
/** Where files of packages are served from: each library loads its own .wasm file. */
const packages: Readonly<Record<string, string>> = {
  '/ort/': join(root, 'node_modules/onnxruntime-web/dist/'),
  '/transformers/': transformersRuntime(),
};
const wllamaWasm = join(root, 'node_modules/@wllama/wllama/esm/wasm/wllama.wasm');

/** transformers.js brings an ONNX Runtime of its own. */
function transformersRuntime(): string {
  const own = join(root, 'node_modules/@huggingface/transformers/node_modules/onnxruntime-web/dist/');
  return existsSync(own) ? own : join(root, 'node_modules/onnxruntime-web/dist/');
}

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.wasm': 'application/wasm',
  '.json': 'application/json',
};

/** Serves the page, the runtimes and model folders, cross-origin isolated so that pages may use threads. */
export class PageServer {
  private constructor(
    private readonly server: Server,
    readonly address: string,
  ) {}

  /** @param models folder whose subfolders are models */
  static async start(models: string): Promise<PageServer> {
    await build({
      root: fileURLToPath(new URL('page/', import.meta.url)),
      configFile: false,
      logLevel: 'error',
      worker: { format: 'es' },
      build: { outDir: built, emptyOutDir: true, target: 'es2023', assetsInlineLimit: 0, chunkSizeWarningLimit: 20_000 },
    });
    const fileOf = (path: string): string | null => {
      if (path.includes('..')) return null;
      if (path === '/wllama.wasm') return wllamaWasm;
      const own = Object.entries(packages).find(([prefix]) => path.startsWith(prefix));
      if (own) return join(own[1], path.slice(own[0].length));
      if (path.startsWith('/models/')) return join(models, path.slice('/models/'.length));
      return join(built, path === '/' ? 'index.html' : path);
    };
    const server = createServer((request, response) => {
      const file = fileOf(decodeURIComponent(new URL(request.url ?? '/', 'http://localhost').pathname));
      const headers = { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' };
      if (file === null || !existsSync(file) || !statSync(file).isFile()) {
        response.writeHead(404, headers).end();
        return;
      }
      const type = types[extname(file)] ?? 'application/octet-stream';
      response.writeHead(200, { ...headers, 'Content-Type': type, 'Content-Length': statSync(file).size });
      createReadStream(file).pipe(response);
    });
    await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve));
    return new PageServer(server, `http://localhost:${(server.address() as AddressInfo).port}`);
  }

  close(): void {
    this.server.close();
    this.server.closeAllConnections();
  }
}

/** Peak memory of a process and all that it started, in bytes: the sum of their peaks, which is an upper bound. */
function treePeak(pid: number): number {
  const parents = new Map<number, number>();
  const peaks = new Map<number, number>();
  for (const name of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    try {
      const status = readFileSync(`/proc/${name}/status`, 'utf8');
      parents.set(Number(name), Number(/PPid:\s+(\d+)/.exec(status)?.[1]));
      peaks.set(Number(name), 1024 * Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0));
    } catch {
      // It has ended meanwhile.
    }
  }
  const within = (one: number): boolean => one === pid || (parents.has(one) && one > 1 && within(parents.get(one) ?? 0));
  return [...peaks].reduce((sum, [one, peak]) => sum + (within(one) ? peak : 0), 0);
}

/** A contestant in a Chromium of its own. */
export class BrowserContestant {
  private constructor(
    private readonly browser: Browser,
    private readonly pid: number,
    private readonly page: Awaited<ReturnType<Browser['newPage']>>,
    readonly version: string,
  ) {}

  static async start(server: PageServer): Promise<BrowserContestant> {
    const executablePath = browserExecutable();
    if (executablePath === null) throw new Error('no Chromium on this machine');
    const before = children(process.pid);
    const browser = await chromium.launch({
      executablePath,
      args: [
        '--headless=new',
        '--no-sandbox',
        '--enable-unsafe-webgpu',
        '--use-webgpu-adapter=swiftshader',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
      ],
    });
    const pid = [...children(process.pid)].find((one) => !before.has(one)) ?? process.pid;
    const page = await browser.newPage();
    page.setDefaultTimeout(0);
    await page.goto(`${server.address}/`);
    await page.waitForFunction(() => document.title === 'ready');
    return new BrowserContestant(browser, pid, page, browser.version());
  }

  open(task: ContestantTask): ReturnType<PageContestant['open']> {
    return this.page.evaluate((asked) => globalThis.contestant.open(asked), task);
  }

  async turn(prompt: readonly number[], tokens: number): Promise<MeasuredTurn> {
    const turn = await this.page.evaluate(([ids, count]) => globalThis.contestant.turn(ids, count), [prompt, tokens] as const);
    return { ...turn, peak: treePeak(this.pid) };
  }

  async close(): Promise<void> {
    await this.browser.close();
  }
}

function children(pid: number): Set<number> {
  const found = new Set<number>();
  for (const name of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    try {
      if (Number(/PPid:\s+(\d+)/.exec(readFileSync(`/proc/${name}/status`, 'utf8'))?.[1]) === pid) found.add(Number(name));
    } catch {
      // It has ended meanwhile.
    }
  }
  return found;
}
