import type { ErrorCode } from '../../src/errors/catalogue.ts';

/** HTTP status of an error; what is not named is the fault of the request. */
const statuses: Readonly<Partial<Record<ErrorCode, number>>> = {
  'runner/token': 401,
  'runner/origin': 403,
  'runner/host': 403,
  'runner/path': 404,
  'runner/model': 404,
  'runner/tensor': 404,
  'runner/too-large': 413,
  'graph/too-large': 413,
  'jobs/unknown': 404,
  'jobs/unfinished': 409,
  'jobs/cancelled': 409,
  'runner/busy': 429,
  'runner/stopping': 503,
  'runner/engine-restarted': 503,
  'jobs/database': 503,
  'model/too-large': 507,
  internal: 500,
};

export function statusOf(code: ErrorCode): number {
  const status = statuses[code];
  if (status !== undefined) return status;
  return code.startsWith('device/') || code.startsWith('model/') ? 500 : 400;
}
