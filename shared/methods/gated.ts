import { z } from 'zod';
import type { Family } from '../families.ts';
import type { TensorEntry } from '../safetensors.ts';
import { type AdapterFile, tensor } from './format.ts';
import type { BaseShape } from './places.ts';
import type { Member, Named } from './union.ts';

/** A gate in AdapterHub's file: what it stands beside is multiplied by the mean of σ(weight·x + bias) over the tokens of a text. */
export interface GateTarget {
  /** The name that its tensors begin with. */
  readonly name: string;
  /** `[1, in]`. */
  readonly weight: TensorEntry;
  /** `[1]`. */
  readonly bias: TensorEntry;
}

/** A place that a union changes with gates of its own. */
export type Gated<T> = T & { readonly gates: readonly GateTarget[] };

/** Where the gates of a place stand. */
interface Gates<T> {
  /** The names that their tensors begin with, of an adapter of this name. */
  names(target: T, family: Family, file: Pick<AdapterFile<Named>, 'header' | 'config'>): readonly string[];
  /** The width of what they read. @throws {AppError} `invalid_adapter` where the base model has no such place */
  width(target: Gated<T>, base: BaseShape, what: string): number;
}

/** Names of a gate's tensors. */
export const gateTensorNames = (name: string) => ({ weight: `${name}.weight`, bias: `${name}.bias` });

/** A member of a union whose changes stand behind gates (adapters 1.2, `use_gating`). */
export function gated<M, C, T extends object>(
  member: Member<M, C, T>,
  { names, width }: Gates<T>,
): Member<M, C, Gated<T>> {
  return {
    ...member,
    keys: {
      ...member.keys,
      use_gating: z.literal(true, 'of a union with LoRA only one with gates is served'),
    },
    targets: (file, family) =>
      member.targets(file, family).map((target) => ({
        ...target,
        gates: names(target, family, file).map((name): GateTarget => {
          const { weight, bias } = gateTensorNames(name);
          const find = (tensorName: string, dimensions: number) =>
            tensor(file.header, tensorName, dimensions, file.what);
          return { name, weight: find(weight, 2), bias: find(bias, 1) };
        }),
      })),
    tensorsOf: (target) => [
      ...member.tensorsOf(target),
      ...target.gates.flatMap(({ name, weight, bias }) => [
        {
          label: `weight of ${name}`,
          entry: weight,
          needed: (base: BaseShape, what: string) => [1, width(target, base, what)],
        },
        { label: `bias of ${name}`, entry: bias, needed: () => [1] },
      ]),
    ],
    // What a gate gives is at most 1; its numbers are bounded so that it can be computed.
    gainsOf: (target, normOf) => [
      ...member.gainsOf(target, normOf),
      ...target.gates.flatMap(({ name, weight, bias }) => [
        [`weight of ${name}`, normOf(weight)] as const,
        [`bias of ${name}`, normOf(bias)] as const,
      ]),
    ],
    write: (input) => ({ ...member.write(input), use_gating: true }),
  };
}
