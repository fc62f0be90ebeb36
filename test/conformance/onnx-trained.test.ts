import { describe } from 'vitest';
import { onnxEngine } from './engines.ts';
import { describeTrained } from './trained-suite.ts';

describe('onnx engine, trained models', () => {
  describeTrained(onnxEngine);
});
