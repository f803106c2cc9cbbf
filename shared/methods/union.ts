import { z } from 'zod';
import type { PeftConfig } from '../peft-config.ts';
import { type BottleneckConfig, bottleneckFormat } from './bottleneck.ts';
import type { AdapterFile, AdapterFormat, ConfigInput } from './format.ts';
import { fail, shown } from './refusal.ts';
import { parseWith, requireKnown } from './settings.ts';

/** How AdapterHub keeps one of a union's methods; `M` is its configuration here, `C` what its settings say, `T` one place that it changes. */
export interface Member<M, C, T>
  extends Pick<AdapterFormat<never, C, T>, 'keys' | 'withoutEffect' | 'parse' | 'tensorsOf' | 'gainsOf'> {
  /** As of a format, of a file whose adapter has this name. */
  targets: (
    file: Omit<AdapterFile<C>, 'config'> & { readonly config: C & Named },
    family: Parameters<AdapterFormat<never, C, T>['targets']>[1],
  ) => readonly T[];
  write(input: Omit<ConfigInput<PeftConfig>, 'method'> & { method: M }): Record<string, unknown>;
}

export interface Named {
  /** What the adapter is called in the names of its tensors. */
  readonly name: string;
}

/** Types of a union's members, by AdapterHub's name of their architecture. */
type Types = Readonly<Record<string, { method: object; config: object; target: object }>>;

/** What a union's settings say, of each of its members. */
export interface UnionFileConfig<U extends Types> extends Named {
  readonly members: { readonly [A in keyof U]: U[A]['config'] };
}

/** One place that a union changes, and which of its members does. */
export type UnionTarget<U extends Types> = {
  [A in keyof U]: { readonly member: A; readonly target: U[A]['target'] };
}[keyof U];

/** The places that one member changes. */
export function targetsOf<E extends { member: PropertyKey; target: unknown }, A extends E['member']>(
  targets: readonly E[],
  member: A,
): Extract<E, { member: A }>['target'][] {
  return targets.flatMap((each) => (each.member === member ? [each.target as never] : []));
}

const keys = z.object({
  configs: z
    .array(z.looseObject({ architecture: z.string().nullish() }))
    .min(1)
    .max(8),
});

/**
 * The members of a format of several methods at once, as AdapterHub writes it (adapters 1.2, `ConfigUnion`). Exactly these methods must be there,
 * each once: two of one kind would change one place.
 * @param methodsOf the configuration of each member, from that of the union
 */
export function unionFormat<M extends PeftConfig, U extends Types>(
  members: { readonly [A in keyof U]: Member<U[A]['method'], U[A]['config'], U[A]['target']> },
  methodsOf: (method: M) => { readonly [A in keyof U]: U[A]['method'] },
): Pick<
  AdapterFormat<M, UnionFileConfig<U>, UnionTarget<U>>,
  | 'layout'
  | 'peftType'
  | 'tensorTitle'
  | 'fileName'
  | 'keys'
  | 'withoutEffect'
  | 'parse'
  | 'familyOf'
  | 'targets'
  | 'tensorsOf'
  | 'gainsOf'
  | 'write'
> {
  const names = Object.keys(members) as (keyof U & string)[];
  const memberOf = (name: keyof U) => members[name] as Member<object, object, object>;
  return {
    layout: 'adapterhub',
    peftType: 'union',
    tensorTitle: `tensor of ${names.join(', ')}`,
    fileName: (name) => name,
    keys: keys.shape,
    withoutEffect: [],
    parse: (file, what) => {
      const { configs } = file as z.infer<typeof keys>;
      const given = configs.map(({ architecture }) => architecture ?? 'bottleneck');
      requireMembers(given, names, what);
      const read = names.map((name) => {
        const at = given.indexOf(name);
        const { architecture: _, ...own } = configs[at]!;
        const { keys: known, withoutEffect, parse } = memberOf(name);
        const where = `${what}: adapter_config.json: config.configs.${at}`;
        const parsed = parseWith(z.looseObject(known), own, where);
        requireKnown(parsed, [...Object.keys(known), ...withoutEffect], where);
        return [name, parse(parsed, what)];
      });
      return { members: Object.fromEntries(read) } as unknown as UnionFileConfig<U>;
    },
    familyOf: (file) => bottleneckFormat.familyOf(file as never),
    targets: ({ config, ...file }, family) =>
      names.flatMap((member) => {
        const own = { ...config.members[member], name: config.name };
        const targets = memberOf(member).targets({ ...file, config: own }, family);
        return targets.map((target) => ({ member, target }) as UnionTarget<U>);
      }),
    tensorsOf: ({ member, target }) => memberOf(member).tensorsOf(target),
    gainsOf: ({ member, target }, normOf) => memberOf(member).gainsOf(target, normOf),
    write: (input) => {
      const methods = methodsOf(input.method);
      const configs = names.map((name) => sorted(memberOf(name).write({ ...input, method: methods[name]! })));
      return { architecture: 'union', configs };
    },
  };
}

/** The bottleneck of a union, which has this placement. */
export function placed(placement: BottleneckConfig['placement'], title: string): typeof bottleneckFormat {
  return {
    ...bottleneckFormat,
    parse: (file, what) => {
      const config = bottleneckFormat.parse(file, what);
      if (config.placement === placement) return config;
      const message = `its bottleneck is placed as ${config.placement}, of a union with a prefix only ${title} is served`;
      return fail(what, `adapter_config.json: ${message}`);
    },
  };
}

function requireMembers(given: readonly string[], names: readonly string[], what: string): void {
  const where = `${what}: adapter_config.json: config.configs`;
  const twice = given.find((name, i) => given.indexOf(name) !== i);
  if (twice !== undefined) {
    fail(where, `${shown(twice)} is there twice, and two methods of one kind would change one place`);
  }
  if (given.length === names.length && names.every((name) => given.includes(name))) return;
  const union = given.map(shown).join(', ');
  fail(where, `a union of ${union} is not served, only one of ${names.join(', ')}`);
}

function sorted(settings: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(settings).sort(([a], [b]) => (a < b ? -1 : 1)));
}
