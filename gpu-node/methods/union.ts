import type { ConfigOf, MethodType } from '../../shared/methods/index.ts';
import type { Architecture } from '../models/model.ts';
import { composeSites, type Dropout, type Sites } from '../models/sites.ts';
import type { Parameters } from '../parts/part.ts';
import type { Trainable } from '../parts/trainable.ts';
import type { PeftMethod } from './method.ts';

/** A method of a union, in one configuration: what a method has, as a union needs it. */
export interface Member {
  modules(architecture: Architecture): readonly string[];
  trainables(architecture: Architecture): readonly Trainable[];
  sites(architecture: Architecture, parameters: Parameters, dropout: Dropout): Sites;
  readonly dropout: number;
  /** What the file holds of it. */
  saved(architecture: Architecture, parameters: Parameters): Parameters;
}

/** A method as a union's member, whose file holds what was trained. */
export function memberOf<M extends MethodType>(method: PeftMethod<M>, config: ConfigOf<M>): Member {
  return {
    modules: (architecture) => method.modules(config, architecture),
    trainables: (architecture) => method.trainables(config, architecture),
    sites: (...rest) => method.sites(config, ...rest),
    dropout: method.dropout(config),
    saved: (architecture, parameters) =>
      Object.fromEntries(
        method.trainables(config, architecture).map(({ name }) => [name, parameters[name]!]),
      ),
  };
}

/** What training asks of a method that is several at once: they act in one graph, each at places of its own. */
export function union<M extends MethodType>(
  membersOf: (config: ConfigOf<M>) => readonly Member[],
): Pick<PeftMethod<M>, 'modules' | 'trainables' | 'sites' | 'dropout'> &
  Required<Pick<PeftMethod<M>, 'saved'>> {
  return {
    modules: (config, architecture) => membersOf(config).flatMap((each) => each.modules(architecture)),
    trainables: (config, architecture) => membersOf(config).flatMap((each) => each.trainables(architecture)),
    sites: (config, ...rest) => composeSites(membersOf(config).map((each) => each.sites(...rest))),
    dropout: (config) => Math.max(...membersOf(config).map(({ dropout }) => dropout)),
    saved: (config, ...rest) =>
      Object.assign({}, ...membersOf(config).map((each) => each.saved(...rest))) as Parameters,
  };
}
