import { EXITS, type Failure } from './failure.ts';
import { printable } from './terminal/printable.ts';
import { type Paint, painter } from './terminal/tables.ts';
import type { World } from './world.ts';

/**
 * Where a command's words go. Standard output carries the payload alone: JSON with `--json`, else tables for people. All else (notes,
 * progress, the next command) goes to standard error, and only for people.
 */
export class Output {
  readonly json: boolean;
  readonly #world: World;

  constructor(world: World, json: boolean) {
    this.#world = world;
    this.json = json;
  }

  /** Colours for standard output. */
  get paint(): Paint {
    return painter(this.#world.stdout);
  }

  /** A command's result: one JSON document, or what `human` makes of it. */
  result(payload: unknown, human: () => string): void {
    this.#world.stdout.write(this.json ? `${JSON.stringify(payload, null, 2)}\n` : `${human()}\n`);
  }

  /** One of a stream of results: a line of JSON, or nothing where `human` is not given. */
  item(payload: unknown, human?: () => string): void {
    if (this.json) this.#world.stdout.write(`${JSON.stringify(payload)}\n`);
    else if (human) this.#world.stdout.write(`${human()}\n`);
  }

  /** A remark for people. */
  note(text: string): void {
    if (!this.json) this.#world.stderr.write(`${printable(text)}\n`);
  }

  /** Commands that lead on, for people. */
  next(...commands: string[]): void {
    if (this.json) return;
    const paint = painter(this.#world.stderr);
    for (const command of commands)
      this.#world.stderr.write(`${paint('dim', 'next:')} ${printable(command)}\n`);
  }

  /** An error: an object on standard output with `--json`, as it then is the payload; else words on standard error. */
  failure(failure: Failure): void {
    if (this.json) {
      // A stream of results ends with the error as its last line.
      this.#world.stdout.write(`${JSON.stringify(failure)}\n`);
      return;
    }
    const { stderr } = this.#world;
    const paint = painter(stderr);
    stderr.write(`${paint('red', 'error:')} ${printable(failure.message)}\n`);
    for (const { line, message } of failure.errors ?? [])
      stderr.write(`  line ${line}: ${printable(message)}\n`);
    const more = (failure.totalErrors ?? 0) - (failure.errors?.length ?? 0);
    if (more > 0) stderr.write(`  and ${more} more\n`);
    if (failure.exit === 'transient') {
      const when = failure.retryAfter === undefined ? 'later' : `in ${Math.ceil(failure.retryAfter)} s`;
      stderr.write(`The same command may succeed ${when} (exit code ${EXITS.transient}).\n`);
    }
    this.next(...failure.next);
  }
}
