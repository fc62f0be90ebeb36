/**
 * Every error of the product: what happened, why, what to do. One table, from which the error class, the command line's
 * `--json` output, the page's messages and `docs/errors.md` derive. Codes are `area/what` and never change meaning.
 * `{name}` is filled from the error's details.
 */
export interface ErrorRow {
  readonly what: string;
  readonly why: string;
  readonly fix: string;
}

const rows = {
  // --- the intervention graph -------------------------------------------------------------------------------------
  'graph/invalid': {
    what: 'The intervention graph is not valid at {path}: {problem}',
    why: 'Unknown keys, edits, points and selectors are errors, so that nothing is ignored silently.',
    fix: 'Correct the document at {path}; docs/graph.md lists every key.',
  },
  'graph/too-large': {
    what: 'The intervention graph is too large: {what} is {got}, the limit is {limit}.',
    why: 'Counts are checked before anything is allocated from them.',
    fix: 'Split the graph, or remove what is not needed.',
  },
  'graph/model-mismatch': {
    what: 'The graph was made for another model shape: {fields}.',
    why: 'Heads and widths of one shape mean nothing in another.',
    fix: 'Load the model the graph was made for, or fit the graph again on this one.',
  },
  'graph/refused': {
    what: 'The graph cannot run here: {reason}',
    why: '{reason}',
    fix: '{remedy}',
  },
  'graph/vector': {
    what: 'Vector "{name}" of the graph: {problem}',
    why: 'Vectors are kept beside the document in a safetensors file of the same stem, or inline as shape and data.',
    fix: 'Put the missing or corrected tensor beside the document.',
  },
  // --- model files --------------------------------------------------------------------------------------------------
  'model/unknown-family': {
    what: 'The model type "{type}" is not known.',
    why: 'An architecture is run only when every particular of it is known; supported: {known}.',
    fix: 'Choose a model of a supported family.',
  },
  'model/config': {
    what: 'config.json: {problem}',
    why: 'The shape of the model is read from its config and from nowhere else.',
    fix: 'Get the config.json that belongs to these weights.',
  },
  'model/tensor-missing': {
    what: 'The weights lack the tensor "{name}".',
    why: 'A {family} model with this config needs it.',
    fix: 'Download the model again, or check that all shards are there.',
  },
  'model/tensor-shape': {
    what: 'The tensor "{name}" has shape [{got}], expected [{expected}].',
    why: 'config.json and the weights do not belong together.',
    fix: 'Get config.json and weights from the same place.',
  },
  'model/file': {
    what: '{file}: {problem}',
    why: 'The file is truncated, damaged or not what its name says.',
    fix: 'Download the file again and verify it.',
  },
  'model/not-found': {
    what: 'No model at {place}: {problem}',
    why: 'A model is a folder with config.json, *.safetensors and tokenizer.json, a known name, or owner/name on the hub.',
    fix: 'Check the path or name; `tiller models` lists the known ones.',
  },
  'model/tokenizer': {
    what: 'The tokenizer cannot be used: {problem}',
    why: 'Text and token ids are turned into each other by tokenizer.json.',
    fix: 'Add the tokenizer.json that belongs to the model, or give token ids.',
  },
  'model/self-test': {
    what: 'The self-test failed: logits differ from the stored fingerprint by {difference}, allowed {allowed}.',
    why: 'The device computes something else than the model: a driver bug, or damaged weights.',
    fix: 'Try precision f32, another browser or driver; verify the weights.',
  },
  // --- network ------------------------------------------------------------------------------------------------------
  'network/failed': {
    what: 'Could not fetch {url}: {problem}',
    why: 'The server could not be reached, refused, or sent something unexpected.',
    fix: 'Check the connection and the address, then try again; what was downloaded is kept.',
  },
  // --- device -------------------------------------------------------------------------------------------------------
  'device/no-api': {
    what: 'This browser has no WebGPU.',
    why: 'navigator.gpu is missing.',
    fix: 'Use a current Chrome, Edge, Firefox or Safari; the lab goes on with the slower reference engine.',
  },
  'device/insecure': {
    what: 'WebGPU is not available on an insecure page.',
    why: 'Browsers offer WebGPU only over https or on localhost.',
    fix: 'Open the lab over https or from localhost.',
  },
  'device/no-adapter': {
    what: 'No GPU adapter is available.',
    why: '{reason}',
    fix: 'Enable hardware acceleration, update the graphics driver, or install a Vulkan driver.',
  },
  'device/lost': {
    what: 'The GPU device was lost: {reason}',
    why: 'The driver was reset, the machine slept, or another program used the GPU up.',
    fix: 'Load the model again; graph and text are kept, and generation can resume.',
  },
  'device/out-of-memory': {
    what: 'Not enough GPU memory: {what} needs {needed}.',
    why: 'The allocation was refused by the device.',
    fix: 'Choose a smaller model, int4 weights, fewer lanes or a shorter context.',
  },
  'device/limits': {
    what: 'The GPU is too limited: {limit} is {got}, needed {needed}.',
    why: 'The model cannot be laid out within these limits.',
    fix: 'Choose a smaller model or another adapter.',
  },
  'device/validation': {
    what: 'The GPU rejected a command: {problem}',
    why: 'This is a defect of Tiller.',
    fix: 'Report it with the adapter name and the receipt.',
  },
  // --- requests -----------------------------------------------------------------------------------------------------
  'request/invalid': {
    what: 'The request is not valid: {problem}',
    why: 'Every argument is checked before any work is done.',
    fix: 'Correct the argument and try again.',
  },
  'request/context': {
    what: 'The text is too long: {needed} tokens, the model takes {limit}.',
    why: 'Prompt and new tokens together must fit the context.',
    fix: 'Shorten the prompt or ask for fewer tokens.',
  },
  'request/aborted': {
    what: 'Stopped.',
    why: 'The request was cancelled.',
    fix: 'Run it again when wanted.',
  },
  'request/engine': {
    what: 'The engine "{engine}" is not available: {reason}',
    why: 'Only engines that exist on this machine can run.',
    fix: 'Use --engine auto, webgpu or reference.',
  },
  // --- command line, files --------------------------------------------------------------------------------------------
  usage: {
    what: '{problem}',
    why: 'The command was not understood.',
    fix: 'Run `tiller help`.',
  },
  'command/later': {
    what: '`tiller {verb}` is not there yet.',
    why: 'The command line names every verb it will have, so that scripts can be written for it; this one is not built.',
    fix: 'Run `tiller help` for the verbs that work, or use the page.',
  },
  'file/unreadable': {
    what: 'Cannot read {file}: {problem}',
    why: 'The file is missing, not readable, or not in the expected form.',
    fix: 'Check the path and the content.',
  },
  'file/unwritable': {
    what: 'Cannot write {file}: {problem}',
    why: 'The folder is missing, not writable, or full.',
    fix: 'Check the path, the rights and the space left.',
  },
  'store/unavailable': {
    what: 'The browser refused storage: {problem}',
    why: 'Private windows and full disks have no room for models.',
    fix: 'Free some space or leave private browsing; the embedded model still works.',
  },
  internal: {
    what: 'Something went wrong inside Tiller: {problem}',
    why: 'This is a defect.',
    fix: 'Report it with what you did.',
  },
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof rows;
export const catalogue: Readonly<Record<ErrorCode, ErrorRow>> = rows;
