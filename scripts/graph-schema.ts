import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { toJsonSchema } from '@valibot/to-json-schema';
import { format } from 'prettier';
import { graphSchema, graphSchemaParts } from '../src/graph/schema.ts';

/** Writes public/graph.schema.json, the JSON Schema of the intervention graph: `npx tsx scripts/graph-schema.ts`. */

export const schemaFile = new URL('../public/graph.schema.json', import.meta.url);

interface Schema {
  readonly $defs?: Readonly<Record<string, Schema>>;
  readonly $ref?: string;
  readonly [key: string]: unknown;
}

/** Alternatives chosen by input arrive as a numbered definition behind the named one; this puts each where its name is. */
function unnumbered(schema: Schema): Schema {
  const defs = schema.$defs ?? {};
  const named = Object.entries(defs).filter(([name]) => !/^\d+$/.test(name));
  const resolve = (part: Schema): Schema => (part.$ref === undefined ? part : resolve(defs[part.$ref.replace('#/$defs/', '')]));
  return { ...schema, $defs: Object.fromEntries(named.map(([name, part]) => [name, resolve(part)])) };
}

/** What JSON Schema cannot say (unique ids, gates that name a read, lengths that fit shapes) is checked by parseGraph only. */
export function publishedSchema(): Schema {
  const schema = toJsonSchema(graphSchema, { definitions: graphSchemaParts, errorMode: 'ignore', target: 'draft-2020-12' });
  const { $schema, $defs, ...rest } = unnumbered(schema as Schema);
  return {
    $schema,
    title: 'Tiller intervention graph',
    description: 'An experiment on the activations of a language model, as data. docs/graph.md says what everything means.',
    ...rest,
    $defs,
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await writeFile(schemaFile, await format(JSON.stringify(publishedSchema()), { parser: 'json', printWidth: 140 }));
}
