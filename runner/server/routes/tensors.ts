import type { FastifyInstance } from 'fastify';
import { hash as hashSchema } from '../../../src/engine/remote/documents.ts';
import { TENSOR_TYPE } from '../../../src/engine/remote/protocol.ts';
import { TillerError } from '../../../src/errors/error.ts';
import { checked, route } from '../route.ts';
import type { Runner } from '../runner.ts';

const isStream = (value: unknown): value is AsyncIterable<Uint8Array> =>
  typeof value === 'object' && value !== null && Symbol.asyncIterator in value;

/** Tensors by hash: sent once, named ever after. */
export function tensorRoutes(app: FastifyInstance, { tensors, config }: Runner): void {
  route(app, 'missingTensors', ({ body }) => ({ missing: [...new Set(body.hashes)].filter((hash) => !tensors.has(hash)) }));

  route(
    app,
    'putTensor',
    async ({ parameters, body }) => {
      const sha256 = checked(hashSchema, parameters.hash);
      if (!isStream(body)) throw new TillerError('request/invalid', { problem: `a tensor is sent as ${TENSOR_TYPE}` });
      return { sha256, bytes: await tensors.put(sha256, body) };
    },
    { bodyLimit: config.limits.tensor },
  );

  route(app, 'getTensor', ({ reply, parameters }) => {
    const { bytes, stream } = tensors.read(checked(hashSchema, parameters.hash));
    return reply
      .type(TENSOR_TYPE)
      .header('content-length', bytes)
      .header('cache-control', 'private, max-age=31536000, immutable')
      .send(stream);
  });
}
