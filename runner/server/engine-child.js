import { register } from 'tsx/esm/api';

// A process of Node begins without a loader for TypeScript.
register();
await import('./engine-child.ts');
