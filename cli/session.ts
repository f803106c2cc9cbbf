import { confirm, isCancel } from '@clack/prompts';
import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import { Client } from './client.ts';
import { connectionOf } from './connection.ts';
import { Failure } from './failure.ts';
import { Output } from './output.ts';
import { canAsk, type World } from './world.ts';

/** Options that every command takes. */
export interface GlobalOptions {
  json?: true;
  url?: string;
  yes?: true;
}

/** What a command works with: its output, the platform, and somebody to ask. */
export class Session {
  readonly world: World;
  readonly out: Output;
  readonly #options: GlobalOptions;
  readonly #typed: string;

  constructor(world: World, command: CommandUnknownOpts) {
    this.world = world;
    this.#options = command.optsWithGlobals() as GlobalOptions;
    this.out = new Output(world, this.#options.json === true);
    this.#typed = typed(command);
  }

  get givenUrl(): string | undefined {
    return this.#options.url;
  }

  /** True if the user agreed to everything beforehand. */
  get isAgreed(): boolean {
    return this.#options.yes === true;
  }

  async client(): Promise<Client> {
    return new Client(await connectionOf(this.world.env, this.#options.url), this.world.signal);
  }

  /** Shows how far a command is, in a terminal, on a line that the next call rewrites; undefined removes it. */
  progress(text: string | undefined): void {
    const { stderr } = this.world;
    if (!this.out.json && stderr.isTTY) stderr.write(`\r${text === undefined ? '' : `  ${text}`}\x1b[K`);
  }

  /**
   * Asks before what cannot be undone, unless `--yes` was given.
   * @throws {Failure} `input_needed` where there is nobody to ask; `interrupted` where the answer is no
   */
  async agree(question: string): Promise<void> {
    if (this.isAgreed) return;
    if (this.out.json || !canAsk(this.world)) {
      const message = `${question} Say --yes: there is no terminal to ask.`;
      throw new Failure('input_needed', 'input_needed', message, { next: [`${this.#typed} --yes`] });
    }
    const answer = await confirm({
      message: question,
      initialValue: false,
      output: this.world.stderr as NodeJS.WriteStream,
      signal: this.world.signal,
    });
    if (isCancel(answer) || !answer) throw new Failure('interrupted', 'interrupted', 'Nothing was done.');
  }
}

/** The command as it would be typed again, with its arguments. */
function typed(command: CommandUnknownOpts): string {
  const names: string[] = [];
  for (let each: CommandUnknownOpts | null = command; each; each = each.parent) names.unshift(each.name());
  return [...names, ...command.args].join(' ');
}
