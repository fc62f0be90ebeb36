import { TillerError } from '../src/errors/error.ts';
import { embeddedModel } from './embedded-model.ts';
import { packedModel, packedModels } from './packed-models.ts';

/** `npm run model`: the embedded model. `npm run model -- NAME ...`: also these, next to the page. */
const names = process.argv.slice(2);
const known = ['stories15M', ...Object.keys(packedModels)];
const unknown = names.filter((name) => !known.includes(name));
const say = (line: string): void => console.error(line);
try {
  if (unknown.length > 0)
    throw new TillerError('usage', { problem: `there is no model ${unknown.join(', ')}; there are ${known.join(', ')}` });
  if (names.length === 0 || names.includes('stories15M')) await embeddedModel(say);
  for (const name of names.filter((one) => one !== 'stories15M')) await packedModel(name, say);
} catch (error) {
  const known = error instanceof TillerError ? error : new TillerError('internal', { problem: String(error) }, { cause: error });
  console.error(`${known.message}\n${known.fix}`);
  process.exitCode = 1;
}
