import type { Choices } from './choices.ts';

/**
 * Makes one input from choices, gives it to the code and judges the outcome.
 * @throws every finding
 */
export type Check = (choices: Choices) => void | Promise<void>;

/** Prepares a target: opens whatever its inputs share. */
export type FuzzTarget = () => Check | Promise<Check>;
