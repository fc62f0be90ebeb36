import { execFileSync } from 'node:child_process';
import { build, preview } from 'vite';

/** `npm start`: the embedded model, the built page, and a server for both. */
const step = (text: string): void => console.log(`  ${text}`);

step('embedded model ...');
execFileSync(process.execPath, ['--import', 'tsx', 'scripts/model.ts'], { stdio: ['ignore', 'ignore', 'inherit'] });
step('building the page ...');
await build({ logLevel: 'warn' });
const server = await preview({ preview: { open: false } });
const address = server.resolvedUrls?.local[0] ?? server.resolvedUrls?.network[0];
console.log(`\n  Tiller is at ${address}   (Ctrl+C stops it)\n`);
