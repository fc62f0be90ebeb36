import { register } from 'tsx/esm/api';

// A worker thread begins without the loader of the thread that started it.
register();
await import('./engine-worker.ts');
