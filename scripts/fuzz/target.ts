import type { Choices } from './choices.ts';

/**
 * Makes one input from choices, gives it to the code and judges what came of it.
 * @throws whatever is a finding
 */
export type Check = (choices: Choices) => void | Promise<void>;

/** Opens what all inputs of a target share. */
export type FuzzTarget = () => Check | Promise<Check>;
