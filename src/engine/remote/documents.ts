import * as v from 'valibot';
import { graphLimits } from '../../graph/limits.ts';
import { pointNames } from '../../graph/points.ts';

/** What travels between page or command line and runner, as schemas: the server checks with them, OpenAPI is made of them. */

const count = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(Number.MAX_SAFE_INTEGER));
const atLeastOne = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(Number.MAX_SAFE_INTEGER));
const text = v.pipe(v.string(), v.maxLength(65536));
const ids = v.array(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(graphLimits.index)));
const roles = v.array(v.nullable(v.picklist(['user', 'assistant', 'system', 'template'])));
const pointName = v.picklist(pointNames);

const isObject = (input: unknown): boolean => typeof input === 'object' && input !== null && !Array.isArray(input);
const object = v.custom<Readonly<Record<string, unknown>>>(isObject, 'expected an object');

/** A graph document; parseGraph checks it, and its JSON Schema is public/graph.schema.json. Its stored vectors must have been sent as tensors. */
const graph = v.nullable(object);
const selector = v.union([v.string(), object], 'expected a selector');

const lane = v.strictObject({
  name: v.optional(v.pipe(v.string(), v.maxLength(graphLimits.nameLength))),
  strengths: v.optional(v.record(v.pipe(v.string(), v.maxLength(graphLimits.idLength)), v.number())),
  seed: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(0xffffffff))),
});

const sequence = v.strictObject({ ids, promptLength: v.optional(atLeastOne), roles: v.optional(roles) });

export const generateBody = v.strictObject({
  prompt: ids,
  roles: v.optional(roles),
  graph: v.optional(graph),
  lanes: v.optional(v.array(lane)),
  maxTokens: atLeastOne,
  stop: v.optional(ids),
  sampling: v.optional(
    v.strictObject({ temperature: v.optional(v.number()), topK: v.optional(count), topP: v.optional(v.number()), seed: v.optional(count) }),
  ),
});

export const scoreBody = v.strictObject({
  sequences: v.array(sequence),
  graph: v.optional(graph),
  factor: v.optional(v.number()),
  lanes: v.optional(v.array(lane)),
  positions: v.optional(v.picklist(['all', 'answer'])),
  kl: v.optional(v.boolean()),
  top: v.optional(count),
  logits: v.optional(v.boolean()),
});

export const captureBody = v.strictObject({
  sequences: v.array(sequence),
  points: v.array(v.strictObject({ point: pointName, layers: v.optional(v.array(count)) })),
  at: v.optional(selector),
  graph: v.optional(graph),
  factor: v.optional(v.number()),
});

/** Tokens of a word; more than a few are no word. */
export const wordBody = v.strictObject({ ids: v.pipe(ids, v.minLength(1), v.maxLength(64)) });

export const checkBody = v.strictObject({ graph: object, lanes: v.optional(v.array(lane)) });

export const refusals = v.object({
  refusals: v.array(
    v.object({
      code: v.picklist(['graph/refused', 'graph/model-mismatch']),
      node: v.string(),
      reason: v.string(),
      remedy: v.string(),
    }),
  ),
});

export const hash = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/, 'expected 64 lower-case hexadecimal digits'));
export const missingBody = v.strictObject({ hashes: v.pipe(v.array(hash), v.maxLength(graphLimits.vectors)) });
export const missingAnswer = v.object({ missing: v.array(hash) });
export const storedAnswer = v.object({ sha256: hash, bytes: count });

export const errorAnswer = v.object({
  error: v.object({
    code: text,
    message: text,
    why: text,
    fix: text,
    details: v.record(v.string(), v.union([v.string(), v.number(), v.boolean()])),
  }),
});

const shape = {
  family: v.string(),
  layers: count,
  heads: count,
  kvHeads: count,
  headDim: count,
  hidden: count,
  intermediate: count,
};

const busy = v.object({
  /** Requests that run. */
  running: count,
  /** Requests that wait. */
  queued: count,
  /** Jobs that run. */
  jobs: count,
});

const served = v.object({
  name: v.string(),
  ...shape,
  vocab: count,
  maxPositions: count,
  points: v.array(v.object({ point: v.string(), width: count })),
  /** How the runner keeps the weights. */
  quantization: v.picklist(['none', 'q8', 'q4']),
  limits: v.object({ maxContext: count, maxLanes: count }),
  /** Bytes: computed before loading, measured after. */
  memory: v.object({ weights: count, cachePerToken: count }),
  identity: v.string(),
  tokenizer: v.boolean(),
  chat: v.boolean(),
  /** `cold`: not loaded; a request loads it. */
  state: v.picklist(['cold', 'loading', 'ready', 'failed']),
  /** How often its engine was started again because it hung or fell. */
  restarts: count,
  /** Why it could not be loaded, or null. */
  problem: v.nullable(v.string()),
  busy,
  notes: v.array(v.string()),
});

export const capabilities = v.object({
  protocol: count,
  program: v.string(),
  graph: count,
  /** What runs models here; the adapter is known once the first one is loaded. */
  engine: v.picklist(['auto', 'webgpu', 'onnx', 'reference']),
  adapter: v.nullable(v.object({ name: v.string(), kind: v.picklist(['hardware', 'software', 'cpu']) })),
  /** Bytes of the machine. */
  memory: v.object({ total: count, free: count }),
  edits: v.array(v.string()),
  reads: v.array(v.string()),
  limits: v.object({
    /** Bytes of a JSON body. */
    body: count,
    /** Bytes of one tensor. */
    tensor: count,
    lanes: count,
    /** Tokens generated by one request, per lane. */
    tokens: count,
    /** Tokens of all sequences of a request together. */
    sequenceTokens: count,
    /** Bytes of the arrays of one answer. */
    answer: count,
    /** Requests that wait, over all models. */
    queue: count,
  }),
  models: v.array(served),
  busy,
});

export type Capabilities = v.InferOutput<typeof capabilities>;
export type ServedModel = v.InferOutput<typeof served>;
export type GenerateBody = v.InferOutput<typeof generateBody>;
export type ScoreBody = v.InferOutput<typeof scoreBody>;
export type CaptureBody = v.InferOutput<typeof captureBody>;
export type CheckBody = v.InferOutput<typeof checkBody>;

/** What the page needs to turn text into tokens and to check graphs, without any weights. */
export const description = v.object({
  name: v.string(),
  /** A ModelSpec. */
  spec: object,
  identity: v.string(),
  weightBytes: count,
  stored: v.array(v.string()),
  quantization: v.picklist(['none', 'q8', 'q4']),
  notes: v.array(v.string()),
  /** Whether there is a tokenizer to ask for. */
  tokenizer: v.boolean(),
});

/** tokenizer.json and tokenizer_config.json, the chat template in it. */
export const tokenizerAnswer = v.object({ json: object, config: object });

/** Messages of the socket of `generate`. */
export const clientMessage = v.variant('type', [
  v.strictObject({ type: v.literal('start'), request: generateBody }),
  v.strictObject({ type: v.literal('stop') }),
]);

export const serverMessage = v.variant('type', [
  v.object({ type: v.literal('queued'), position: count }),
  v.object({ type: v.literal('loading'), progress: object }),
  v.object({ type: v.literal('beat') }),
  v.object({ type: v.literal('step'), step: v.unknown() }),
  v.object({ type: v.literal('done'), summary: v.unknown() }),
  v.object({ type: v.literal('error'), error: errorAnswer.entries.error }),
]);
export type ServerMessage = v.InferOutput<typeof serverMessage>;
