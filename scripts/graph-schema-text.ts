import { toJsonSchema } from '@valibot/to-json-schema';
import { format } from 'prettier';
import { graphSchema, graphSchemaParts } from '../src/graph/schema.ts';

interface Schema {
  readonly $defs?: Readonly<Record<string, Schema>>;
  readonly $ref?: string;
  readonly [key: string]: unknown;
}

/**
 * Alternatives chosen by input arrive as a numbered definition behind the named one; this puts each where its name is. Draft 7 keeps
 * definitions under `definitions`.
 */
function namedDefinitions({ $defs = {} }: Schema): Readonly<Record<string, Schema>> {
  const named = Object.entries($defs).filter(([name]) => !/^\d+$/.test(name));
  const resolve = (part: Schema): Schema => (part.$ref === undefined ? part : resolve($defs[part.$ref.replace('#/$defs/', '')]));
  return Object.fromEntries(named.map(([name, part]) => [name, resolve(part)]));
}

/** public/graph.schema.json. What JSON Schema cannot say (unique ids, gates that name a read, lengths that fit) is checked by parseGraph only. */
export async function graphSchemaText(): Promise<string> {
  const schema = toJsonSchema(graphSchema, { definitions: graphSchemaParts, errorMode: 'ignore', target: 'draft-07' }) as Schema;
  const published = {
    $schema: schema['$schema'],
    title: 'Tiller intervention graph',
    description: 'An experiment on the activations of a language model, as data. docs/graph.md says what everything means.',
    ...schema,
    $defs: undefined,
    definitions: namedDefinitions(schema),
  };
  return format(JSON.stringify(published).replaceAll('"#/$defs/', '"#/definitions/'), { parser: 'json', printWidth: 140 });
}
