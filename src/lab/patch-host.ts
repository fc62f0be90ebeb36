import type { ResultStore } from '../captures/result-store.ts';
import type { Engine } from '../engine/engine.ts';
import { TillerError } from '../errors/error.ts';
import { patchGraph, patchStudy, type PatchStudy } from '../evals/patch-study.ts';
import { patchTokens } from '../evals/patch-texts.ts';
import { patchPositions } from '../evals/patching.ts';
import { unitKey } from '../evals/unit-store.ts';
import { storedUnits } from '../fit/stored-units.ts';
import type { BoundGraph } from '../graph/document.ts';
import type { ModelFiles } from '../model/model.ts';
import type { PatchChoice, PatchEvent, PatchGraphRequest, PatchStudyRequest, PatchView, PromptToken } from './engine-protocol.ts';
import { needTokenizer } from './prompt-tokens.ts';

/** What the engine's host does for patching between two prompts. Loaded when it is first asked for. */

interface PatchPlace {
  readonly engine: Engine;
  readonly files: Pick<ModelFiles, 'tokenizer'>;
  readonly signal: AbortSignal;
}

/** Tokens as they are drawn; what is wrong with them is part of the view. @throws model/tokenizer */
export function viewPatch(files: Pick<ModelFiles, 'tokenizer'>, { texts, positions }: PatchChoice): PatchView {
  const tokenizer = needTokenizer(files);
  const piece = (id: number): string => tokenizer.piece(id);
  const drawn = (ids: readonly number[]): PromptToken[] => ids.map((id) => ({ id, text: piece(id), role: null }));
  const prompts = { clean: drawn(tokenizer.encode(texts.clean)), corrupted: drawn(tokenizer.encode(texts.corrupted)) };
  try {
    const tokens = patchTokens(texts, tokenizer);
    const answers = { wanted: drawn(tokens.wanted), unwanted: drawn(tokens.unwanted) };
    try {
      return { ...prompts, ...answers, positions: patchPositions({ ...tokens, positions }, piece), problem: null };
    } catch (cause) {
      return { ...prompts, ...answers, positions: [], problem: asData(cause) };
    }
  } catch (cause) {
    return { ...prompts, wanted: [], unwanted: [], positions: [], problem: asData(cause) };
  }
}

function asData(cause: unknown): ReturnType<TillerError['toJSON']> {
  if (cause instanceof TillerError) return cause.toJSON();
  throw cause;
}

/** @throws what patchStudy throws */
export async function studyPatch(
  { engine, files, results, signal }: PatchPlace & { readonly results: ResultStore },
  { texts, positions, points }: PatchStudyRequest,
  onEvent: (event: PatchEvent) => void,
): Promise<PatchStudy> {
  const tokenizer = needTokenizer(files);
  const tokens = patchTokens(texts, tokenizer);
  const store = storedUnits(results, unitKey({ patch: engine.model.identity, clean: [...tokens.clean] }).slice(0, 32));
  try {
    return await patchStudy({ ...tokens, positions }, points, {
      engine,
      store,
      signal,
      piece: (id) => tokenizer.piece(id),
      onEnds: (ends) => onEvent({ type: 'ends', ...ends }),
      onEffects: (point, effects) => onEvent({ type: 'effects', point, effects }),
      onProgress: (progress) => onEvent({ type: 'progress', ...progress }),
    });
  } finally {
    await store.flush();
  }
}

/** @throws what patchGraph throws */
export async function graphOfPatch({ engine, files, signal }: PatchPlace, request: PatchGraphRequest): Promise<BoundGraph> {
  const { clean } = patchTokens(request.texts, needTokenizer(files));
  return patchGraph(clean, request.positions, request.places, { engine, signal });
}
