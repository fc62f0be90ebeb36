import { describe } from 'vitest';
import { kernelEngines } from './engines.ts';
import { describeGoldens } from './golden-suite.ts';

for (const engine of kernelEngines) {
  describe(`${engine.name}, synthetic goldens`, () => {
    describeGoldens(engine);
  });
}
