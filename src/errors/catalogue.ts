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
  'model/other-layout': {
    what: 'The weights have "{found}" and not "{name}": they are in another layout than that of Hugging Face.',
    why: 'A {family} model is read with one matrix for each projection, under the names of its Hugging Face class.',
    fix: 'Take the repository in that layout (of Llama 2 those that end in -hf), or load it with the Python package transformers and save_pretrained it.',
  },
  'model/pickled-weights': {
    what: '{place} has its weights in {file}, which is a pickled Python object.',
    why: 'Such files run code when they are read, so only safetensors, ONNX and GGUF are.',
    fix: "Take a repository or revision with safetensors, or convert it once: python -c \"from transformers import AutoModelForCausalLM as M; M.from_pretrained('DIR', torch_dtype='auto').save_pretrained('OUT')\".",
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
  'model/hash': {
    what: '{file}: {problem}',
    why: 'The download was damaged, or something else was sent than was promised. The file was not kept.',
    fix: 'Download it again; if it stays so, take another source.',
  },
  'model/not-found': {
    what: 'No model at {place}: {problem}',
    why: 'A model is a folder with config.json, tokenizer.json and *.safetensors or *.onnx, a GGUF file, a known name, or owner/name on the hub.',
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
  'model/packed-damaged': {
    what: 'The packed weights in {file} are damaged: {name} differs from its checksum.',
    why: 'Packed weights are compared with their checksums while they are loaded.',
    fix: 'Run it again: they are removed and packed anew from the source.',
  },
  'model/too-large': {
    what: '{name} does not fit: {problem}.',
    why: 'What a model needs is counted from its shape before anything is read or allocated.',
    fix: '{fitting} `tiller plan` shows what each setting needs; --anyway loads regardless.',
  },
  // --- network ------------------------------------------------------------------------------------------------------
  'network/failed': {
    what: 'Could not fetch {url}: {problem}',
    why: 'The server could not be reached, refused, or sent something unexpected.',
    fix: 'Check the connection and the address, then try again; what was downloaded is kept.',
  },
  'hub/gated': {
    what: '{repository} may not be read: {problem}',
    why: 'Its authors let in who accepted their terms, and the hub knows a person by an access token.',
    fix: 'Accept the terms at {page}, make a token with read rights there, and give it under "Access token" on the Models page, or as HF_TOKEN to the command line.',
  },
  // --- device -------------------------------------------------------------------------------------------------------
  'device/no-api': {
    what: 'This browser has no WebGPU.',
    why: 'navigator.gpu is missing.',
    fix: 'Use a current Chrome, Edge, Firefox or Safari, or the CPU engine, which `auto` takes.',
  },
  'device/insecure': {
    what: 'WebGPU is not available on an insecure page.',
    why: 'Browsers offer WebGPU only over https or on localhost.',
    fix: 'Open the lab over https or from localhost; `auto` takes the CPU engine meanwhile.',
  },
  'device/no-adapter': {
    what: 'No GPU adapter is available.',
    why: '{reason}',
    fix: 'Enable hardware acceleration, update the graphics driver, or use the CPU engine, which `auto` takes.',
  },
  'device/lost': {
    what: 'The GPU device was lost: {reason}',
    why: 'The driver was reset, the machine slept, or another program used the GPU up.',
    fix: 'Load the model again; graph and text are kept, and generation can resume.',
  },
  'device/out-of-memory': {
    what: 'Not enough memory: {what} needs {needed}.',
    why: 'The allocation was refused by the device or the browser.',
    fix: 'Choose a smaller model, int4 weights, fewer lanes or a shorter context.',
  },
  'device/wasm-memory': {
    what: 'The model needs {needed} of WebAssembly memory: {weights} of weights and {more} to load and run them.',
    why: 'A page has {limit} of it at most, whatever the machine has; this is counted before anything is loaded.',
    fix: 'Keep weights in int4 or int8, or choose a smaller model, WebGPU, or the command line, which has all memory of the machine.',
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
  // --- methods: from activations to interventions ---------------------------------------------------------------------
  'method/unknown': {
    what: 'There is no method "{name}".',
    why: 'Known methods: {known}.',
    fix: 'Choose one of them.',
  },
  'method/settings': {
    what: 'The setting "{setting}" of {method}: {problem}',
    why: 'Settings are checked against the table of the method; an unknown one is an error, so that none is ignored silently.',
    fix: 'Correct it or leave it out; docs/methods.md lists the settings of every method with their ranges.',
  },
  'method/data': {
    what: '{method} cannot be fitted: {problem}',
    why: 'A method needs examples of both classes, some of them pairs, with finite activations.',
    fix: 'Add or correct examples, or choose another method or split.',
  },
  'vectors/file': {
    what: '{file} is no file of steering vectors that can be read: {problem}',
    why: 'Everything a file says about itself is checked before it is used.',
    fix: 'Get the file again, or export it anew from the program that made it.',
  },
  'vectors/export': {
    what: 'The graph cannot be written as {format}: {problem}',
    why: '{format} has no way to say it, and a file that leaves a part out would be another intervention.',
    fix: 'Export the graph as JSON and safetensors, which hold everything, or change it as the problem says.',
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
    fix: 'Use --engine auto, webgpu, onnx or reference, or remote with a --runner.',
  },
  // --- runners ------------------------------------------------------------------------------------------------------
  'runner/address': {
    what: 'This is no address of a runner: {address} ({problem})',
    why: 'A runner is reached over http or https, at the address that `tiller serve` prints.',
    fix: 'Give an address such as http://127.0.0.1:4600 or https://runner.example:4600.',
  },
  'runner/unreachable': {
    what: 'No runner answers at {address}: {problem}',
    why: 'It is not running, the address or port is another one, a firewall is between, or the runner does not know the origin of this page.',
    fix: 'Start it with `tiller serve`, check the address, and allow this page there with --origin {origin}.',
  },
  'runner/mixed-content': {
    what: 'The browser lets no page that came over https talk to {address}.',
    why: 'From an https page, plain http is allowed to localhost only: anything else is mixed content and is blocked before it leaves the browser.',
    fix: 'Give the runner TLS (--tls-cert and --tls-key, or a reverse proxy), reach it through `ssh -L 4600:127.0.0.1:4600 HOST` as http://localhost:4600, or open the lab over http.',
  },
  'runner/token': {
    what: 'The runner wants a token: {problem}',
    why: 'A runner that other machines can reach works only for who has its token; it was shown when the runner was started.',
    fix: 'Give the token with --token, TILLER_RUNNER_TOKEN or in the page; a lost one is replaced by starting the runner again.',
  },
  'runner/origin': {
    what: 'The runner does not work for pages of {origin}.',
    why: 'Any page on the web could otherwise use it through your browser.',
    fix: 'If this is your lab, start the runner with --origin {origin}.',
  },
  'runner/host': {
    what: 'The runner does not answer to the name {host}.',
    why: 'A page could otherwise reach a runner on this machine by giving its own domain the address of this machine.',
    fix: 'Use the address that the runner printed, or start it with --host-name for this name.',
  },
  'runner/version': {
    what: 'The runner and this side speak different versions of {what}: {theirs} there, {ours} here; {older} is older.',
    why: 'An experiment that is misunderstood would be another experiment.',
    fix: '{remedy}',
  },
  'runner/answer': {
    what: 'The runner sent something that is not understood: {problem}',
    why: 'It may not be a Tiller runner, something between changes what it says, or this is a defect.',
    fix: 'Check the address and any proxy; otherwise report it.',
  },
  'runner/connection': {
    what: 'The connection to the runner broke: {problem}',
    why: 'The runner stopped, or the network between did.',
    fix: 'Check that the runner still runs, then run it again; jobs go on without a connection.',
  },
  'runner/path': {
    what: 'The runner has nothing at {path}.',
    why: 'Its endpoints are listed in /openapi.json and docs/runner.md.',
    fix: 'Check the path.',
  },
  'runner/model': {
    what: 'The runner does not serve the model "{model}".',
    why: 'A runner serves the models of the folders it was started with: {known}.',
    fix: 'Choose one of them, or start the runner with --models and the folder that holds it.',
  },
  'runner/models': {
    what: 'Models cannot be served from {place}: {problem}',
    why: 'A runner serves only what lies inside the folders it was given; links that lead out of them are not followed.',
    fix: 'Give --models a folder of models, or the folder of one.',
  },
  'runner/busy': {
    what: 'The runner is busy: {problem}',
    why: 'It takes a bounded number of requests, so that one client cannot stop the others.',
    fix: 'Wait a moment and try again.',
  },
  'runner/too-large': {
    what: 'The request is too large for the runner: {what} is {got}, the limit is {limit}.',
    why: 'Sizes are checked before anything is allocated from them; /v1/capabilities gives the limits.',
    fix: 'Ask for less at once: fewer sequences, points, lanes or tokens.',
  },
  'runner/tensor': {
    what: 'The tensor {hash}: {problem}',
    why: 'Tensors are kept by the SHA-256 of their values, so that each travels once.',
    fix: 'Send the tensor, then the graph that names it.',
  },
  'runner/engine-restarted': {
    what: 'The engine of "{model}" was started again: {problem}',
    why: 'The runner watches its engines; one that hangs or falls is replaced, and what it was doing is lost.',
    fix: 'Run it again. If it happens every time, look at the runner and report it.',
  },
  'runner/slow-client': {
    what: 'The runner gave up on a client that does not read what it asked for.',
    why: 'Answers are kept for a slow reader only for a while and only up to a limit.',
    fix: 'Read faster, ask for less, or raise --client-timeout.',
  },
  'runner/stopping': {
    what: 'The runner is stopping.',
    why: 'It was asked to end, and takes no new work.',
    fix: 'Start it again, or use another runner.',
  },
  'runner/listen': {
    what: 'The runner cannot listen at {address}: {problem}',
    why: 'The port is taken, the address is not one of this machine, or ports below 1024 are reserved.',
    fix: 'Choose another --port (0 takes a free one) or --address.',
  },
  'runner/token-form': {
    what: 'The token cannot be used: {problem}',
    why: 'A token travels in headers and must be hard to guess: 16 to 256 letters, digits and . _ ~ -',
    fix: 'Leave it out to have one made, or give a longer one by --token-file or TILLER_RUNNER_TOKEN.',
  },
  // --- examples -----------------------------------------------------------------------------------------------------
  'examples/file': {
    what: '{name} cannot be read as examples: {problem}',
    why: 'Examples come as lines, CSV, TSV, JSON, JSONL or Parquet.',
    fix: 'Check the file, or name its format; docs/examples.md shows every form.',
  },
  'examples/too-large': {
    what: '{name} is too large: {what} is {got}, the limit is {limit}.',
    why: 'Sizes are checked before anything is allocated from them.',
    fix: 'Take a part of it.',
  },
  'examples/form': {
    what: 'What the columns of {name} mean is not clear: {problem}',
    why: 'Column names say which form of example a file holds.',
    fix: 'Name the columns (text and label, positive and negative, question with right and wrong answers, ...), or say which column is which.',
  },
  'examples/labels': {
    what: 'The labels of {name} are not two classes: {problem}',
    why: 'A direction lies between two classes; ratings are divided at their middle, other labels must be two.',
    fix: 'Say which labels are the wanted class and which are the other.',
  },
  'examples/empty': {
    what: 'No row of {name} can be used: {problem}',
    why: 'Bad rows are left out and listed; here every row is bad or there is none.',
    fix: 'Look at the first problems and correct the file; docs/examples.md shows every form.',
  },
  'examples/options': {
    what: 'The examples cannot be read like this: {problem}',
    why: 'Options that contradict each other or the examples would be ignored silently otherwise.',
    fix: 'Change the option and try again.',
  },
  'examples/split': {
    what: 'The examples cannot be split like this: {problem}',
    why: 'Every part needs groups of its own: a group (a question, a pair) is never divided.',
    fix: 'Take more examples, or smaller parts for validation and test.',
  },
  'examples/leak': {
    what: 'The same group is in two parts: {group}',
    why: 'A question that was trained on says nothing when it is tested on; here it is in {first} and in {second}.',
    fix: 'Split by group, or remove the repeated rows.',
  },
  // --- statistics -----------------------------------------------------------------------------------------------------
  'stats/argument': {
    what: 'The statistic cannot be computed: {problem}',
    why: 'Sizes, labels and settings are checked before any work is done.',
    fix: 'Correct the argument and try again.',
  },
  'stats/rows': {
    what: 'Too few rows for {what}: {got}, needed {needed}.',
    why: 'It is not defined for fewer.',
    fix: 'Give more examples, or divide them otherwise.',
  },
  'stats/one-class': {
    what: 'Both classes are needed for {what}; there are {positive} rows of the wanted class and {negative} of the other.',
    why: 'Nothing can be told apart where all rows are alike.',
    fix: 'Add examples of the missing class, or divide them so that every part has both.',
  },
  'stats/not-finite': {
    what: 'Infinite numbers or such that are none, in {what}.',
    why: 'An activation overflowed while the model ran, or the file it came from is damaged.',
    fix: 'Capture the activations again, in f32 precision if they were computed in f16.',
  },
  // --- evaluations ----------------------------------------------------------------------------------------------------
  'eval/units': {
    what: 'There is nothing to measure on: no {what}.',
    why: 'A measurement needs at least one unit (a question, a pair, a document), and every one given was left out.',
    fix: 'Give more rows or texts; what was left out, and why, is listed with them.',
  },
  'eval/answer': {
    what: 'An answer has no tokens of its own: {answer}',
    why: 'An answer is scored on the tokens that reach into it, and this one is empty or lost by the tokenizer.',
    fix: 'Correct or remove the row.',
  },
  'eval/setting': {
    what: 'The measurement cannot be made: {problem}',
    why: 'Every setting is checked before any model is run.',
    fix: 'Correct the setting and try again.',
  },
  'eval/part': {
    what: 'Rows of the part "{got}" cannot be used here: {problem}',
    why: 'Settings are chosen on validation rows, and test rows are scored once, for what was chosen; otherwise the result would flatter itself.',
    fix: 'Give rows of the part "{expected}".',
  },
  'eval/scorer': {
    what: 'The text scorer is not valid: {problem}',
    why: 'A scorer is data: a regular expression, or words with weights.',
    fix: 'Correct the scorer.',
  },
  'eval/prompt-lengths': {
    what: 'The two prompts have {clean} and {corrupted} tokens: {tokens}',
    why: 'Activations are exchanged position by position, so both prompts must have the same number of tokens.',
    fix: 'Reword one of the prompts until both have the same number of tokens.',
  },
  // --- jobs of a runner -----------------------------------------------------------------------------------------------
  'jobs/invalid': {
    what: 'The job is not valid at {path}: {problem}',
    why: 'Unknown keys and values are errors, so that nothing is ignored silently.',
    fix: 'Correct the job at {path}, or use the same version of Tiller on both sides.',
  },
  'jobs/tensor': {
    what: 'Vector {hash} of the job: {problem}',
    why: 'Vectors travel under the hash of their values, and only what has that hash is taken.',
    fix: 'Send the job again with the vectors of its graph.',
  },
  'jobs/unknown': {
    what: 'There is no job {id}.',
    why: 'It was never sent to this runner, its end is so long ago that the runner no longer keeps it (--keep-days, --keep-jobs), or the folder of jobs was removed.',
    fix: 'List its jobs (`tiller jobs list`), or send the job again.',
  },
  'jobs/unfinished': {
    what: 'The job {id} has no result: it is {state}.',
    why: 'A result is there once a job is done.',
    fix: 'Wait for it (`tiller jobs watch`); begin a failed or cancelled job again by sending it with --again.',
  },
  'jobs/cancelled': {
    what: 'The job {id} was cancelled.',
    why: 'Somebody asked for its end. What it had finished is kept.',
    fix: 'Send it again with --again to go on where it was.',
  },
  'jobs/lost-lease': {
    what: "The job {id} is no longer this runner's: attempt {attempt} is over.",
    why: 'A runner that says nothing for too long loses its job to another, and what it writes later is refused.',
    fix: 'Nothing is to be done: the job goes on elsewhere.',
  },
  'jobs/runners-lost': {
    what: 'The job was begun {attempts} times and its runner was lost every time.',
    why: 'A job that takes its runner down again and again (out of memory, a crash of the driver) would take down all of them.',
    fix: 'Look at the logs of the runner, give it more memory or a smaller job, and send the job again with --again.',
  },
  'jobs/folder-in-use': {
    what: 'Another process uses the jobs in {folder}.',
    why: 'The embedded database takes one process at a time; a second one would damage it.',
    fix: 'Stop the other runner, choose another state folder, or give both --database postgres://... to share one queue.',
  },
  'jobs/database': {
    what: 'The database of jobs does not answer: {problem}',
    why: 'Jobs, their finished units and their results are kept in it.',
    fix: 'Check that the database runs, that its address and password are right, and that the user may create schemas in it.',
  },
  // --- command line, files --------------------------------------------------------------------------------------------
  usage: {
    what: '{problem}',
    why: 'The command was not understood.',
    fix: 'Run `tiller help`.',
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
  'store/no-room': {
    what: 'There is no room for {name}: {problem}.',
    why: 'The disk, or what the browser grants this page, is full.',
    fix: 'Free some space or delete stored models, then go on: what was downloaded is kept.',
  },
  'store/full': {
    what: 'There is no room to keep results: {needed} could not be written.',
    why: 'The disk, or what the browser grants this page, is full.',
    fix: 'Free some space or remove stored models and results, then run it again: what was finished is kept.',
  },
  internal: {
    what: 'Something went wrong inside Tiller: {problem}',
    why: 'This is a defect.',
    fix: 'Report it with what you did.',
  },
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof rows;
export const catalogue: Readonly<Record<ErrorCode, ErrorRow>> = rows;
