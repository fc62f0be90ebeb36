import * as ort from 'onnxruntime-web/wasm';
import { describe } from 'vitest';
import { onnxWasmEngine } from './engines.ts';
import { describeGoldens } from './golden-suite.ts';
import { describeInvariants } from './invariant-suite.ts';
import { describeTrained } from './trained-suite.ts';

const engine = onnxWasmEngine(ort);

describe(engine.name, () => {
  describeGoldens(engine);
  describeInvariants(engine);
  describeTrained(engine);
});
