import { isDeepStrictEqual } from 'node:util';
import { AppError } from '../../shared/errors.ts';

/** Most characters of a message, which is for people and goes into logs, events and headers. */
const MAX_MESSAGE_CHARS = 1000;
const MAX_PARAM_CHARS = 256;

export type Outcome<T> = { value: T } | { refused: AppError };

/**
 * The outcome for a user's input: a value, or a refusal in words that names the fault. Any other error is a finding.
 * @throws any error except an `AppError` of a 4xx status with a bounded, well-formed message
 */
export async function outcomeOf<T>(act: () => T | Promise<T>): Promise<Outcome<T>> {
  return refusalOf(act, (error) => error.status < 500);
}

/**
 * The same for a file that an operator installed: its fault is the installation's, so the refusal is an `internal_error` that names the
 * file.
 */
export async function outcomeOfInstalled<T>(file: string, act: () => T | Promise<T>): Promise<Outcome<T>> {
  return refusalOf(act, (error) => error.code === 'internal_error' && error.message.includes(file));
}

async function refusalOf<T>(
  act: () => T | Promise<T>,
  isRight: (error: AppError) => boolean,
): Promise<Outcome<T>> {
  try {
    return { value: await act() };
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    expect(isRight(error), `${error.code}: ${error.message}`);
    checkWords(error.message, MAX_MESSAGE_CHARS);
    if (error.param !== undefined) checkWords(error.param, MAX_PARAM_CHARS);
    for (const { message } of error.errors ?? []) checkWords(message, MAX_MESSAGE_CHARS);
    return { refused: error };
  }
}

function checkWords(words: string, longest: number): void {
  expect(
    words.length <= longest,
    `words of a refusal are too long: ${words.length} characters: ${words.slice(0, 100)}`,
  );
  expect(!/\[object |node:internal|file:\/\//.test(words), `words of a refusal say nothing: ${words}`);
}

/** @throws a finding with this message where the condition does not hold */
export function expect(holds: boolean, finding: string): asserts holds {
  if (!holds) throw new Error(finding);
}

/** @throws a finding, with the place, where two ways to the same end differ */
export function expectEqual(one: unknown, other: unknown, what: string): void {
  if (isDeepStrictEqual(comparable(one), comparable(other))) return;
  const [a, b] = [JSON.stringify(comparable(one)), JSON.stringify(comparable(other))];
  let at = 0;
  while (a[at] === b[at]) at++;
  const excerpt = (text: string) => text.slice(Math.max(0, at - 40), at + 80);
  throw new Error(`${what} differ: ${excerpt(a)} and ${excerpt(b)}`);
}

/** An outcome without the part that must not be compared: where an error was thrown. */
function comparable(value: unknown): unknown {
  if (value instanceof AppError) {
    const { code, message, param, errors, totalErrors } = value;
    return { code, message, param, errors, totalErrors };
  }
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value;
  if (Array.isArray(value)) return value.map(comparable);
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, comparable(each)]));
}

const PROTOTYPES = [
  Object,
  Array,
  String,
  Number,
  Function,
  Map,
  Set,
  Promise,
  RegExp,
  Uint8Array,
  Error,
].map(({ prototype }) => prototype as object);

/** The content of the language's prototypes, which must never change. */
export function prototypesNow(): string {
  return PROTOTYPES.map((prototype) => Reflect.ownKeys(prototype).length).join();
}
