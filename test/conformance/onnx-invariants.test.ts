import { describe } from 'vitest';
import { onnxEngine } from './engines.ts';
import { describeInvariants } from './invariant-suite.ts';

describe('onnx engine', () => {
  describeInvariants(onnxEngine);
});
