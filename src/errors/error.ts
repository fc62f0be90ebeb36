import { catalogue, type ErrorCode } from './catalogue.ts';

/** What an error's sentence needs: values for the `{placeholders}` of its catalogue row. */
export type ErrorDetails = Record<string, string | number | boolean>;

/** Data of an error as it crosses a worker boundary or appears in `--json` output. */
export interface ErrorData {
  readonly code: ErrorCode;
  readonly message: string;
  readonly why: string;
  readonly fix: string;
  readonly details: ErrorDetails;
}

const fill = (text: string, details: ErrorDetails): string =>
  text.replace(/\{(\w+)\}/g, (whole, key: string) => (key in details ? String(details[key]) : whole));

/** Every error a person can meet. `code` is stable; `message` says what happened, `why` the reason, `fix` what to do. */
export class TillerError extends Error {
  readonly code: ErrorCode;
  readonly why: string;
  readonly fix: string;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, details: ErrorDetails = {}, options?: ErrorOptions) {
    const row = catalogue[code];
    super(fill(row.what, details), options);
    this.name = 'TillerError';
    this.code = code;
    this.why = fill(row.why, details);
    this.fix = fill(row.fix, details);
    this.details = details;
  }

  toJSON(): ErrorData {
    return { code: this.code, message: this.message, why: this.why, fix: this.fix, details: this.details };
  }

  static fromJSON(data: ErrorData): TillerError {
    return new TillerError(data.code, data.details);
  }
}
