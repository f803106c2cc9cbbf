/**
 * The module names of the encoder families that Weft knows, as transformers spells them. An adapter's file consists of these names, so
 * checks and computations read the same table.
 */
export const FAMILY_NAMES = ['bert', 'roberta', 'distilbert'] as const;
export type FamilyName = (typeof FAMILY_NAMES)[number];

/** The linear layers of one encoder layer: `intermediate` widens, `output` narrows again. */
export type LinearKind = 'query' | 'key' | 'value' | 'attentionOutput' | 'intermediate' | 'output';

/** The two halves of a layer: attention with its output's linear layer, and the feed-forward network. */
export const SUBLAYERS = ['attention', 'output'] as const;
export type SublayerKind = (typeof SUBLAYERS)[number];

export interface Family {
  readonly name: FamilyName;
  /** The family's name in messages. */
  readonly title: string;
  /** The encoder's prefix in a classification model; a bare encoder's names lack it. */
  readonly root: string;
  /** Prefix of modules of the encoder's layer `i`; `i` and a dot follow. */
  readonly layers: string;
  /** Names of the linear layers within a layer, in the order of the forward pass. */
  readonly linears: Readonly<Record<LinearKind, string>>;
  /** Names of a layer's norms: behind attention and behind the feed-forward network. */
  readonly norms: { readonly attention: string; readonly output: string };
  /** Name of the embeddings' norm, which stands before the layers. */
  readonly embeddingsNorm: string;
  /** What holds AdapterHub's adapters of a half within a layer. */
  readonly adapters: Readonly<Record<SublayerKind, string>>;
  /** What holds AdapterHub's prefix, and the gate of one, within a layer, and what it calls the prefix. */
  readonly prefixes: { readonly attention: string; readonly location: string };
  /** The linear layer that `cls` pooling goes through, where the encoder has one. */
  readonly pooler?: string;
  /** Linear layers of the classification head, from the pooled text to the logits. Every method trains and saves them all. */
  readonly head: readonly [string, ...string[]];
}

const BERT_LINEARS = {
  query: 'attention.self.query',
  key: 'attention.self.key',
  value: 'attention.self.value',
  attentionOutput: 'attention.output.dense',
  intermediate: 'intermediate.dense',
  output: 'output.dense',
} as const;

const BERT_NORMS = { attention: 'attention.output.LayerNorm', output: 'output.LayerNorm' } as const;
const BERT_ADAPTERS = { attention: 'attention.output', output: 'output' } as const;
const BERT_PREFIXES = { attention: 'attention.self', location: 'self_prefix' } as const;

export const FAMILIES: Readonly<Record<FamilyName, Family>> = {
  bert: {
    name: 'bert',
    title: 'BERT',
    root: 'bert',
    layers: 'bert.encoder.layer.',
    linears: BERT_LINEARS,
    norms: BERT_NORMS,
    embeddingsNorm: 'bert.embeddings.LayerNorm',
    adapters: BERT_ADAPTERS,
    prefixes: BERT_PREFIXES,
    pooler: 'bert.pooler.dense',
    head: ['classifier'],
  },
  roberta: {
    name: 'roberta',
    title: 'RoBERTa',
    root: 'roberta',
    layers: 'roberta.encoder.layer.',
    linears: BERT_LINEARS,
    norms: BERT_NORMS,
    embeddingsNorm: 'roberta.embeddings.LayerNorm',
    adapters: BERT_ADAPTERS,
    prefixes: BERT_PREFIXES,
    head: ['classifier.dense', 'classifier.out_proj'],
  },
  distilbert: {
    name: 'distilbert',
    title: 'DistilBERT',
    root: 'distilbert',
    layers: 'distilbert.transformer.layer.',
    linears: {
      query: 'attention.q_lin',
      key: 'attention.k_lin',
      value: 'attention.v_lin',
      attentionOutput: 'attention.out_lin',
      intermediate: 'ffn.lin1',
      output: 'ffn.lin2',
    },
    norms: { attention: 'sa_layer_norm', output: 'output_layer_norm' },
    embeddingsNorm: 'distilbert.embeddings.LayerNorm',
    adapters: { attention: 'attention_adapters', output: 'output_adapters' },
    prefixes: { attention: 'attention', location: 'self' },
    head: ['pre_classifier', 'classifier'],
  },
};

/** The families' names for messages. */
export const FAMILY_TITLES = Object.values(FAMILIES)
  .map(({ title }) => title)
  .join(', ');
