import { expect, it } from 'vitest';
import { childEnvironment } from './child-environment.ts';

it('leaves secrets out of what an engine gets', () => {
  const kept = {
    PATH: '/bin',
    HOME: '/h',
    XDG_CACHE_HOME: '/c',
    VK_ICD_FILENAMES: '/lvp.json',
    TILLER_WEIGHT_CACHE: 'off',
    Path: 'C:\\',
  };
  const secrets = {
    TILLER_RUNNER_TOKEN: 't',
    HF_TOKEN: 'h',
    PGPASSWORD: 'p',
    DATABASE_URL: 'postgres://a:b@c/d',
    AWS_SECRET_ACCESS_KEY: 'k',
    HTTPS_PROXY: 'http://user:password@proxy',
    SSH_AUTH_SOCK: '/s',
    GITHUB_TOKEN: 'g',
  };
  expect(childEnvironment({ ...secrets, ...kept, NODE_PATH: undefined })).toEqual(kept);
});
