import { describe } from 'vitest';
import { referenceEngine } from './engines.ts';
import { describeInvariants } from './invariant-suite.ts';

describe('reference engine', () => {
  describeInvariants(referenceEngine);
});
