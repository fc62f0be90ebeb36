import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { families } from '../../src/model/families.ts';
import { goldenFile, goldenNames, goldenRoot } from './golden.ts';

/** Golden models that bring weights and are of a family that is computed. */
export const plannedGoldens = (): string[] =>
  goldenNames().filter(
    (name) => Object.hasOwn(families, goldenFile(name).family) && existsSync(join(goldenRoot, name, 'model.safetensors')),
  );
