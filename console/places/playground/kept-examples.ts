import { signal } from '@preact/signals';

const KEPT = 'weft-examples';
const MAX_EXAMPLES = 50;

/** Texts that somebody keeps to ask again; they stay in this browser. */
export const examples = signal<readonly string[]>(read());

export function keep(texts: readonly string[]): void {
  store([...texts, ...examples.value.filter((one) => !texts.includes(one))].slice(0, MAX_EXAMPLES));
}

export function forget(text: string): void {
  store(examples.value.filter((one) => one !== text));
}

function store(texts: readonly string[]): void {
  examples.value = texts;
  localStorage.setItem(KEPT, JSON.stringify(texts));
}

function read(): string[] {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(KEPT) ?? '[]');
    return Array.isArray(kept) ? kept.filter((one) => typeof one === 'string') : [];
  } catch {
    return [];
  }
}
