import { describe } from 'vitest';
import { onnxEngine, onnxInt8Engine } from './engines.ts';
import { describeGoldens } from './golden-suite.ts';

for (const engine of [onnxEngine, onnxInt8Engine]) {
  describe(`${engine.name}, synthetic goldens`, () => {
    describeGoldens(engine);
  });
}
