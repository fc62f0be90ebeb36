import { describe } from 'vitest';
import { referenceEngine } from './engines.ts';
import { describeTrained } from './trained-suite.ts';

describe('reference engine, trained models', () => {
  describeTrained(referenceEngine);
});
