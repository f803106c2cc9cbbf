import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import { EXITS, type Exit } from '../failure.ts';
import { Session } from '../session.ts';
import { exitsOf, verb } from '../verb.ts';
import type { World } from '../world.ts';

/** All commands with arguments, flags and exit codes, for programs that drive them. */
export const capabilities = (world: World) =>
  verb('capabilities', 'List all commands, flags and exit codes, for programs too', ['done', 'usage']).action(
    (_options, command) => {
      const root = command.parent!;
      const payload = {
        name: root.name(),
        version: root.version(),
        exits: EXITS,
        flags: flagsOf(root),
        errors: {
          status: 'HTTP status, or null',
          code: 'string',
          message: 'string',
          next: ['commands that lead on'],
        },
        commands: root.commands.flatMap((each) => verbsOf(each, [])),
      };
      new Session(world, command).out.result(payload, () => payload.commands.map(line).join('\n'));
    },
  );

type Capability = ReturnType<typeof describe>;

function verbsOf(command: CommandUnknownOpts, above: readonly string[]): Capability[] {
  const path = [...above, command.name()];
  return command.commands.length > 0
    ? command.commands.flatMap((each) => verbsOf(each, path))
    : [describe(command, path)];
}

function describe(command: CommandUnknownOpts, path: readonly string[]) {
  return {
    command: path.join(' '),
    description: command.description(),
    arguments: command.registeredArguments.map((each) => ({
      name: each.name(),
      description: each.description,
      required: each.required,
      variadic: each.variadic,
      ...(each.argChoices && { choices: each.argChoices }),
    })),
    flags: flagsOf(command),
    exits: Object.fromEntries(exitsOf(command).map((exit: Exit) => [exit, EXITS[exit]])),
  };
}

function flagsOf(command: CommandUnknownOpts) {
  return command.options.map((option) => ({
    flag: option.long ?? option.short,
    ...(option.long && option.short && { short: option.short }),
    description: option.description,
    value: option.required ? 'required' : option.optional ? 'optional' : 'none',
    ...(option.argChoices && { choices: option.argChoices }),
    ...(option.variadic && { repeatable: true }),
    ...(option.defaultValue !== undefined && { default: option.defaultValue }),
  }));
}

function line({ command, arguments: args, description }: Capability): string {
  const names = args.map(({ name, required, variadic }) => {
    const shown = variadic ? `${name}…` : name;
    return required ? `<${shown}>` : `[${shown}]`;
  });
  return `weft ${[command, ...names].join(' ').padEnd(44)} ${description}`;
}
