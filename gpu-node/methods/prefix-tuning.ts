import { FAMILIES } from '../../shared/families.ts';
import { AUTO_VIRTUAL_TOKENS, PROMPT_TENSOR } from '../../shared/methods/prompt-format.ts';
import type { PrefixTuningConfig } from '../../shared/peft-config.ts';
import type { Dim, Value } from '../graph/ir.ts';
import { elementCount } from '../graph/shapes.ts';
import type { Architecture } from '../models/model.ts';
import { behind, type Dropout, NO_DROPOUT, type Sites } from '../models/sites.ts';
import { expand, linear, mul, reshape, split, swapLastAxes, tanh, transpose } from '../ops/index.ts';
import { keysValues, prefixNumbers } from '../parts/keys-values.ts';
import type { Parameters } from '../parts/part.ts';
import { drawn, linearTrainables, normal } from '../parts/trainable.ts';
import { given, type PeftMethod } from './method.ts';

/** Names of the projection's tensors, as PEFT calls those of its prompt encoder. */
const EMBEDDING = 'prompt_encoder.embedding.weight';
const HIDDEN = 'prompt_encoder.transform.0';
const OUTPUT = 'prompt_encoder.transform.2';

/**
 * Prefix tuning (Li and Liang 2021, arXiv:2101.00190) as HF PEFT defines it (peft/tuners/prefix_tuning/model.py): keys and values of `[virtual
 * tokens, 2 * layers * hidden]` stand before the text's own in every layer, whose positions begin behind them. With a projection they are
 * MLP(embeddings), and the file holds what came out. Dropout touches the prefix, for each text anew, as in P-tuning v2.
 */
export const prefixTuning: PeftMethod<'prefix_tuning'> = {
  resolve: ({ type, ...request }, { hiddenSize }) => ({
    type,
    num_virtual_tokens: given(request.num_virtual_tokens, AUTO_VIRTUAL_TOKENS),
    prefix_projection: given(request.prefix_projection, false),
    encoder_hidden_size: given(request.encoder_hidden_size, Math.min(hiddenSize, 1024)),
    dropout: given(request.dropout, 0),
  }),
  toShrink: { field: 'num_virtual_tokens', way: 'lower method.num_virtual_tokens' },
  modules: () => [],
  trainables: ({ num_virtual_tokens, prefix_projection, encoder_hidden_size }, { hiddenSize, layers }) => {
    const width = 2 * layers * hiddenSize;
    if (!prefix_projection) return [drawn(PROMPT_TENSOR, [num_virtual_tokens, width], normal)];
    return [
      drawn(EMBEDDING, [num_virtual_tokens, hiddenSize], normal),
      ...linearTrainables(HIDDEN, hiddenSize, encoder_hidden_size),
      ...linearTrainables(OUTPUT, encoder_hidden_size, width),
    ];
  },
  sites: (config, ...rest) => ({
    positions: (call) => behind(call, config.num_virtual_tokens),
    ...prefixSites(config, ...rest),
  }),
  dropout: ({ dropout }) => dropout,
  saved: (config, _architecture, parameters) => ({ [PROMPT_TENSOR]: prefixOf(config, parameters) }),
  plan: (_description, architecture) => ({ keysValues: keysValues.places(architecture, 'mean') }),
  load: async ({ targets: [target], family }, bytes) => {
    const { prompt: entry } = target!;
    const virtualTokens = entry.shape[0]!;
    const prefix = { entry, virtualTokens, shift: virtualTokens };
    return { keysValues: prefixNumbers(prefix, bytes, FAMILIES[family]) };
  },
};

/** A prefix in training and evaluation, which leaves the positions as they are. */
export function prefixSites(
  config: PrefixTuningConfig,
  architecture: Architecture,
  parameters: Parameters,
  dropout: Dropout,
): Sites {
  const { num_virtual_tokens } = config;
  const prefix = prefixOf(config, parameters);
  return {
    attention: ({ index, keys: own }) => {
      const batch = own.shape[0]!;
      const rows =
        dropout === NO_DROPOUT ? ([prefix, 1] as const) : ([dropOut(prefix, dropout, batch), batch] as const);
      const all = byLayer(...rows, num_virtual_tokens, architecture);
      const shape = [batch, architecture.heads, num_virtual_tokens, own.shape[3]!];
      const [keys, values] = all.slice(2 * index, 2 * index + 2).map((each) => expand(each, shape));
      const bias = expand(own.graph.scalar(0), [batch, 1, 1, num_virtual_tokens]);
      return [{ keys: keys!, values: values!, bias }];
    },
  };
}

/** `[virtual tokens, 2 * layers * hidden]`. */
export function prefixOf({ prefix_projection }: PrefixTuningConfig, parameters: Parameters): Value {
  if (!prefix_projection) return parameters[PROMPT_TENSOR]!;
  const apply = (x: Value, name: string) =>
    linear(x, swapLastAxes(parameters[`${name}.weight`]!), parameters[`${name}.bias`]!);
  return apply(tanh(apply(parameters[EMBEDDING]!, HIDDEN)), OUTPUT);
}

/** `[batch, virtual tokens * 2 * layers * hidden]`, of each text with elements of its own zeroed. */
function dropOut(prefix: Value, dropout: Dropout, batch: Dim): Value {
  const features = elementCount(prefix.shape);
  return mul(dropout.mask(expand(reshape(prefix, [1, features]), [batch, features])), dropout.scale);
}

/** Keys of the first layer, its values, and so on, each `[rows, heads, virtual tokens, size]`; a prefix of one row is for all texts. */
function byLayer(
  prefix: Value,
  rows: Dim,
  virtualTokens: number,
  { layers, heads, hiddenSize }: Architecture,
): readonly Value[] {
  const apart = reshape(prefix, [rows, virtualTokens, 2 * layers, heads, hiddenSize / heads]);
  const parts = split(
    apart,
    2,
    Array.from({ length: 2 * layers }, () => 1),
  );
  return parts.map((part) =>
    transpose(reshape(part, [rows, virtualTokens, heads, hiddenSize / heads]), [0, 2, 1, 3]),
  );
}
