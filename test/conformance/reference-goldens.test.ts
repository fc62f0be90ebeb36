import { describe } from 'vitest';
import { referenceEngine } from './engines.ts';
import { describeGoldens } from './golden-suite.ts';

describe('reference engine, synthetic goldens', () => {
  describeGoldens(referenceEngine);
});
