import type { ComponentChildren } from 'preact';
import type { Known } from '../store/known.ts';
import { Problem } from './problem.tsx';

/** What is known of an answer: its value, beside which an error stands, or that it is on its way. */
export function Shown<T>({
  known: { value, error },
  retry,
  children,
}: {
  known: Known<T>;
  retry?: () => void;
  children: (value: T) => ComponentChildren;
}) {
  return (
    <>
      {error && <Problem error={error} {...(retry && { retry })} />}
      {value !== undefined
        ? children(value)
        : !error && (
            <p class="muted" role="status">
              Loading…
            </p>
          )}
    </>
  );
}
