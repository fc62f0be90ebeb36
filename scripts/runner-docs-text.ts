import { endpoints, type Endpoint } from '../src/engine/remote/endpoints.ts';
import { jobEndpoints } from '../src/jobs/job-endpoints.ts';

const bodies = { none: '', json: 'JSON', bytes: 'bytes' } as const;
const answers = { json: 'JSON', frames: 'frames', events: 'lines of JSON', bytes: 'bytes', text: 'text', socket: 'WebSocket' } as const;

/** docs/runner.md with its table of endpoints made anew. */
export function withEndpoints(page: string): string {
  const rows = ([...Object.values(endpoints), ...Object.values(jobEndpoints)] as readonly Endpoint[]).map(
    ({ method, path, body, answer, open, doc }) =>
      [`\`${method} ${path}\``, bodies[body.kind], answers[answer.kind], open ? 'no' : 'yes', doc].join(' | '),
  );
  const table = ['endpoint | body | answer | token | what it does', '--- | --- | --- | --- | ---', ...rows]
    .map((row) => `| ${row} |`)
    .join('\n');
  return page.replace(/<!-- endpoints -->[^]*<!-- \/endpoints -->/, `<!-- endpoints -->\n\n${table}\n\n<!-- /endpoints -->`);
}
