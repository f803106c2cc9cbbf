import { effect, type Signal, signal } from '@preact/signals';
import { classify, inRequests } from '../api/classify.ts';
import { ApiError } from '../api/client.ts';
import type { JudgedRow } from '../figures/judge.ts';
import { call } from './known.ts';
import { rowsOf } from './rows.ts';
import { key } from './session.ts';

/** How an adapter classifies a file's rows, as far as it has. */
export interface Judgement {
  readonly rows: readonly JudgedRow[];
  /** Rows that are to be classified. */
  readonly total: number;
  readonly isRunning: boolean;
  readonly error?: ApiError;
}

const EMPTY: Judgement = { rows: [], total: 0, isRunning: false };

const judgements = new Map<string, { state: Signal<Judgement>; abort: AbortController }>();

effect(() => {
  if (key.value !== null) return;
  for (const { abort } of judgements.values()) abort.abort();
  judgements.clear();
});

const nameOf = (model: string, fileId: string) => `${model} ${fileId}`;

export function judgementOf(model: string, fileId: string): Judgement {
  const name = nameOf(model, fileId);
  const entry = judgements.get(name) ?? { state: signal(EMPTY), abort: new AbortController() };
  judgements.set(name, entry);
  return entry.state.value;
}

/** Classifies a file's first rows with one version of an adapter, from where it stopped before. */
export async function judge(model: string, fileId: string, limit: number): Promise<void> {
  judgementOf(model, fileId);
  const entry = judgements.get(nameOf(model, fileId))!;
  const { state } = entry;
  if (state.peek().isRunning) return;
  entry.abort = new AbortController();
  const { signal: aborted } = entry.abort;
  const { error: _, ...before } = state.peek();
  state.value = { ...before, isRunning: true };
  try {
    const rows = await wholeRows(fileId, aborted);
    const first = rows.slice(0, limit).map((row, i) => ({ ...row, i }));
    state.value = { ...state.peek(), total: first.length };
    for (const part of inRequests(first.slice(before.rows.length))) {
      const { data } = await classify(
        call,
        part.map(({ text }) => ({ model, text })),
        aborted,
      );
      const judged = part.map(({ text, label: truth, i }, at) => {
        const { label, score } = data[at]!;
        return { row: i, text, truth, label, score };
      });
      state.value = { ...state.peek(), rows: [...state.peek().rows, ...judged] };
    }
    state.value = { ...state.peek(), isRunning: false };
  } catch (error) {
    state.value = { ...state.peek(), isRunning: false, ...(error instanceof ApiError && { error }) };
    if (!(error instanceof ApiError) && !aborted.aborted) throw error;
  }
}

export function stopJudging(model: string, fileId: string): void {
  judgements.get(nameOf(model, fileId))?.abort.abort();
}

function wholeRows(fileId: string, aborted: AbortSignal) {
  const state = rowsOf(fileId);
  return new Promise<readonly { text: string; label: string }[]>((resolve, reject) => {
    const stop = effect(() => {
      const { rows, isWhole, error } = state.value;
      if (error) reject(error);
      else if (isWhole) resolve(rows);
      else return;
      queueMicrotask(() => stop());
    });
    aborted.addEventListener('abort', () => {
      stop();
      reject(aborted.reason);
    });
  });
}
