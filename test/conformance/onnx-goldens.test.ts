import { describe } from 'vitest';
import { onnxEngine } from './engines.ts';
import { describeGoldens } from './golden-suite.ts';

describe('onnx engine, synthetic goldens', () => {
  describeGoldens(onnxEngine);
});
