import { describe } from 'vitest';
import { onnxEngine, referenceEngine } from './engines.ts';
import { describeGoldens } from './golden-suite.ts';
import { describeInvariants } from './invariant-suite.ts';
import { remoteRow } from './remote-row.ts';
import { describeTrained } from './trained-suite.ts';

const reason = 'the same engines run everything on this side; what differs is how requests and results travel';

const rows = [
  remoteRow(onnxEngine, {
    reason,
    goldens: ['llama_gqa_tied', 'gemma3'],
    cases: null,
    prompts: 1,
    invariants: ['llama_gqa_tied', 'sampling', 'requests', 'prefixes'],
    trained: ['real_stories260K'],
  }),
  remoteRow(referenceEngine, { reason, goldens: ['llama_odd_sizes'], cases: null, prompts: 1, invariants: ['requests'], trained: [] }),
];

for (const engine of rows) {
  describe(engine.name, () => {
    describeGoldens(engine);
    describeInvariants(engine);
    describeTrained(engine);
  });
}
