import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { browserExecutable } from '../test/browser.ts';
import { postgresFolder } from '../test/postgres.ts';
import { vulkanManifest } from '../test/vulkan.ts';
import { runCommand, runTool, type CommandResult } from './command.ts';

/** Makes sure that a browser, software Vulkan drivers and PostgreSQL are there for the tests. Returns what is missing, a sentence each. */
export async function prepareMachine(say: (text: string) => void): Promise<string[]> {
  const browser = browserExecutable() ? [] : await installBrowser(say);
  const postgres = postgresFolder() ? [] : await installPostgres(say);
  return [...browser, ...postgres, ...(process.platform === 'linux' ? await prepareVulkan(say) : [])];
}

const canUseApt = (): boolean => process.getuid?.() === 0 && existsSync('/usr/bin/apt-get');

async function apt(args: readonly string[]): Promise<CommandResult> {
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  return runCommand('apt-get', ['-q', '-y', '-o', 'Dpkg::Use-Pty=0', ...args], { env, timeout: 10 * 60_000 });
}

let packageLists: Promise<CommandResult> | null = null;
const updateLists = (): Promise<CommandResult> => (packageLists ??= apt(['update']));

async function aptInstall(names: readonly string[], options: readonly string[] = []): Promise<string | null> {
  await updateLists();
  const { status, output } = await apt([...options, 'install', '--no-install-recommends', ...names]);
  return status === 0 ? null : output.trim().split('\n').slice(-3).join(' ');
}

async function installBrowser(say: (text: string) => void): Promise<string[]> {
  say("no browser for the tests: trying Playwright's Chromium");
  const args = ['install', '--no-shell', 'chromium'];
  await runTool('node_modules/playwright/cli.js', args, { env: { PLAYWRIGHT_DOWNLOAD_CONNECTION_TIMEOUT: '5000' }, timeout: 5 * 60_000 });
  const browser = browserExecutable();
  if (browser && (await runCommand(browser, ['--version'])).status === 0) return [];
  if (canUseApt()) {
    say("it cannot be had or does not start here: installing the system's chromium");
    const problem = await aptInstall(['chromium']);
    if (browserExecutable()) return [];
    say(problem ?? 'the package has no browser in it');
  }
  return ['There is no browser for the tests: run `npx playwright install --with-deps chromium`, or install Chromium from your system.'];
}

/** The tests start a server of their own; the one that the package would start is not wanted. */
async function installPostgres(say: (text: string) => void): Promise<string[]> {
  if (canUseApt()) {
    say("no PostgreSQL for the tests: installing the system's");
    const problem = await aptInstall(['postgresql'], ['-o', 'Dpkg::Options::=--force-confold']);
    if (postgresFolder()) return [];
    if (problem) say(problem);
  }
  return [
    'There is no PostgreSQL for the tests of the queue: install it from your system, or put its `initdb` and `postgres` on the PATH.',
  ];
}

/** Mesa's software driver has what the engine needs from this version on. */
const mesaNeeded = 25;

async function mesaVersion(): Promise<number> {
  const { status, output } = await runCommand('dpkg-query', ['-W', '-f', '${db:Status-Status} ${Version}', 'mesa-vulkan-drivers']);
  const version = /^installed (?:\d+:)?(\d+)/.exec(output);
  return status === 0 && version ? Number(version[1]) : 0;
}

async function prepareVulkan(say: (text: string) => void): Promise<string[]> {
  const isDebian = existsSync('/usr/bin/dpkg-query');
  const present = (): boolean => vulkanManifest('lavapipe') !== null;
  if (present() && (!isDebian || (await mesaVersion()) >= mesaNeeded)) return [];
  if (canUseApt()) {
    say(`installing Mesa's software Vulkan driver (version ${mesaNeeded} or later)`);
    await updateLists();
    const policy = await runCommand('apt-cache', ['policy', 'mesa-vulkan-drivers']);
    const candidate = Number(/Candidate: (?:\d+:)?(\d+)/.exec(policy.output)?.[1] ?? 0);
    const names = ['libvulkan1', 'mesa-vulkan-drivers'];
    const problem = candidate >= mesaNeeded ? await aptInstall(names) : await installFromBackports(names);
    if (problem) say(problem);
    if (present()) return [];
  }
  if (present()) return [];
  return [
    `There is no software Vulkan driver for the tests: install the packages libvulkan1 and mesa-vulkan-drivers (${mesaNeeded} or later).`,
  ];
}

/** Takes packages from the distribution's backports, at the same mirror as the rest, without changing the machine's package sources. */
async function installFromBackports(names: readonly string[]): Promise<string | null> {
  const release = /^VERSION_CODENAME=(\w+)$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1];
  if (!release) return 'this system does not say its release name';
  const targets = await runCommand('apt-get', ['indextargets', '--format', '$(CODENAME) $(REPO_URI)', 'Identifier: Packages']);
  const mirrors = new Map(targets.output.split('\n').map((line) => line.trim().split(' ') as [string, string]));
  const backports = `${release}-backports`;
  if (mirrors.has(backports)) return aptInstall(names, ['-t', backports]);
  const mirror = mirrors.get(release);
  if (!mirror) return `no package source of ${release} is configured`;
  const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';
  const signedBy = existsSync(keyring) ? `[signed-by=${keyring}] ` : '';
  const folder = mkdtempSync(join(tmpdir(), 'tiller-apt-'));
  try {
    const list = join(folder, 'sources.list');
    const own = existsSync('/etc/apt/sources.list') ? readFileSync('/etc/apt/sources.list', 'utf8') : '';
    writeFileSync(list, `${own}\ndeb ${signedBy}${mirror} ${backports} main\n`, { mode: 0o644 });
    const options = ['-o', `Dir::Etc::sourcelist=${list}`];
    const update = await apt([...options, 'update']);
    if (update.status !== 0) return update.output.trim().split('\n').slice(-3).join(' ');
    return await aptInstall(names, [...options, '-t', backports]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
