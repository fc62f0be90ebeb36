import { describe } from 'vitest';
import { referenceEngine } from './engines.ts';
import { describeInvariants } from './invariant-suite.ts';
import { describeRequests } from './request-suite.ts';
import { describeSampling } from './sampling-suite.ts';

describe('reference engine', () => {
  describeInvariants(referenceEngine);
  describeSampling(referenceEngine);
  describeRequests(referenceEngine);
});
