import { Command, CommanderError, type CommandUnknownOpts } from '@commander-js/extra-typings';
import { adapters } from './commands/adapters.ts';
import { capabilities } from './commands/capabilities.ts';
import { classify } from './commands/classify.ts';
import { compare, evaluate, evaluations } from './commands/evaluations.ts';
import { files } from './commands/files.ts';
import { jobs } from './commands/jobs.ts';
import { keys } from './commands/keys.ts';
import { login, logout } from './commands/login.ts';
import { train } from './commands/train.ts';
import { up } from './commands/up.ts';
import { EXITS, type Exit, Failure, fileFailure, usage } from './failure.ts';
import { Output } from './output.ts';
import packageJson from './package.json' with { type: 'json' };
import { exitsOf } from './verb.ts';
import type { World } from './world.ts';

/** The tree of commands. It is the one table: parser, help and `capabilities` are made of it. */
export function buildProgram(world: World): Command {
  const root = new Command('weft')
    .description('Trains and serves text classifiers: many small adapters on one frozen base model.')
    .version(packageJson.version, '-V, --version', 'print the version')
    .option('--json', 'print JSON, for errors too')
    .option('--url <url>', 'address of the platform (else WEFT_URL, else what `weft login` kept)')
    .option('-y, --yes', 'agree to everything that would be asked');
  const commands = [
    up,
    login,
    logout,
    files,
    train,
    jobs,
    adapters,
    classify,
    evaluate,
    compare,
    evaluations,
    keys,
    capabilities,
  ];
  for (const make of commands) root.addCommand(make(world) as CommandUnknownOpts);
  return root as unknown as Command;
}

/** Runs a command line, without the program's name, and returns the exit code. */
export async function run(argv: readonly string[], world: World): Promise<number> {
  const own = argv.slice(0, argv.includes('--') ? argv.indexOf('--') : undefined);
  const out = new Output(world, own.includes('--json'));
  const root = buildProgram(world);
  const said = { out: '', err: '' };
  prepare(root, said);
  try {
    await root.parseAsync([...argv], { from: 'user' });
    return EXITS.done;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) {
      out.result({ text: said.out.trimEnd() }, () => said.out.trimEnd());
      return EXITS.done;
    }
    const failure = toFailure(error, world.signal, said.err);
    out.failure(failure);
    return EXITS[failure.exit];
  }
}

/** Lets a mistake reach `run` as an error, whichever command finds it; commander itself would print it and exit. */
function prepare(command: CommandUnknownOpts, said: { out: string; err: string }): void {
  command
    .configureHelp({ showGlobalOptions: true })
    .exitOverride()
    .configureOutput({
      writeOut: (text) => {
        said.out += text;
      },
      writeErr: (text) => {
        said.err += text;
      },
    });
  const exits = exitsOf(command);
  if (exits.length > 0) command.addHelpText('after', `\nExit codes: ${exits.map(exitText).join(', ')}.`);
  for (const each of command.commands) prepare(each, said);
}

function exitText(exit: Exit): string {
  return `${EXITS[exit]} ${exit.replaceAll('_', ' ')}`;
}

function toFailure(error: unknown, signal: AbortSignal, said: string): Failure {
  if (error instanceof Failure) return error;
  if (error instanceof CommanderError) {
    const group = error.code === 'commander.help' && /^Usage: (.*?) \[options\]/.exec(said)?.[1];
    if (group) return usage(`Say what ${group} shall do.`, { next: [`${group} --help`] });
    return usage(error.message.replace(/^error: /, ''), { next: ['weft capabilities'] });
  }
  if (signal.aborted) return new Failure('interrupted', 'interrupted', 'Interrupted.', { cause: error });
  const { path } = (error ?? {}) as NodeJS.ErrnoException;
  const ofFile = fileFailure(error, path ?? 'the file');
  if (ofFile) return ofFile;
  const message = `This is a fault of the command line: ${error instanceof Error ? error.message : error}`;
  return new Failure('failed', 'internal_error', message, { cause: error });
}
