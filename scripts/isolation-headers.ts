/**
 * What every file of the page is served with, so that browsers isolate it and allow memory that threads share. Models from other servers
 * still come: they are fetched with CORS. A server that does not send these still works, with one thread.
 */
export const isolationHeaders = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
  // For pages elsewhere that show the lab in a frame of their own, isolated too.
  'Cross-Origin-Resource-Policy': 'cross-origin',
};
