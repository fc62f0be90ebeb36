#!/usr/bin/env node
import { register } from 'tsx/esm/api';

// The command line is TypeScript like the rest and needs no build step: tsx strips the types while loading.
register();
const { main } = await import('./cli.ts');
await main(process.argv.slice(2));
