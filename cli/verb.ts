import {
  Argument,
  Command,
  type CommandUnknownOpts,
  InvalidArgumentError,
} from '@commander-js/extra-typings';
import type { z } from 'zod';
import { adapterRef, fileId, jobId } from '../shared/api/common.ts';
import type { Exit } from './failure.ts';

/** How commands of a kind may end. Any may be interrupted. */
export const LOCAL: readonly Exit[] = ['done', 'failed', 'usage'];
export const REMOTE: readonly Exit[] = [
  'done',
  'failed',
  'usage',
  'transient',
  'input_needed',
  'interrupted',
];

const exitsByCommand = new WeakMap<CommandUnknownOpts, readonly Exit[]>();

/** A command that does something. It ends in one of `exits`. */
export function verb(name: string, summary: string, exits: readonly Exit[]): Command {
  const command = new Command(name).description(summary);
  exitsByCommand.set(command, exits);
  return command;
}

/** A command that only groups others. */
export function noun(name: string, summary: string, verbs: readonly CommandUnknownOpts[]): Command {
  const command = new Command(name).description(summary);
  for (const each of verbs) command.addCommand(each);
  return command;
}

export function exitsOf(command: CommandUnknownOpts): readonly Exit[] {
  return exitsByCommand.get(command) ?? [];
}

/** Makes a schema of the API check an argument or an option, so that a mistake is found before any request. */
export function checkedBy<T>(schema: z.ZodType<T>): (given: string) => T {
  return (given) => {
    const parsed = schema.safeParse(given);
    if (parsed.success) return parsed.data;
    throw new InvalidArgumentError(`It must be ${parsed.error.issues[0]!.message}.`);
  };
}

export const adapterArgument = (name = 'name') =>
  new Argument(`<${name}>`, 'an adapter: its name, or name@version').argParser(checkedBy(adapterRef));
export const jobArgument = () => new Argument('<id>', 'a job, ftjob_…').argParser(checkedBy(jobId));
export const fileArgument = () => new Argument('<id>', 'a file, file_…').argParser(checkedBy(fileId));
