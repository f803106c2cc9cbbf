import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { WEFT_FILE } from '../../shared/adapter-format.ts';
import type { Pooling } from '../../shared/peft-config.ts';
import type { Architecture } from '../models/model.ts';

export const MODEL_FILE = 'model.safetensors';
const MEAN_FILE = 'modeling_mean.py';
const MEAN_CLASSIFIERS = fileURLToPath(new URL(`./${MEAN_FILE}`, import.meta.url));

/** Labels, pooling and settings of a merged model. */
export interface MergedClassifier {
  /** Id of the base model, and the folder of its files. */
  readonly base: { readonly id: string; readonly folder: string };
  readonly pooling: Pooling;
  readonly labels: readonly string[];
  /** Length in tokens at which a text is cut. */
  readonly maxLength: number;
  /** Divisor of the logits. */
  readonly temperature: number;
}

/** The files of a transformers folder beside the model's weights, by name. */
export async function describeFolder(
  classifier: MergedClassifier,
  architecture: Architecture,
): Promise<ReadonlyMap<string, string | Uint8Array>> {
  const { folder } = classifier.base;
  const config = JSON.parse(await readFile(join(folder, 'config.json'), 'utf8')) as object;
  const tokenizer = await readFile(join(folder, 'tokenizer.json'));
  const files = new Map<string, string | Uint8Array>([
    ['README.md', readme(classifier)],
    ['config.json', json(configOf(config, classifier, architecture))],
    ['tokenizer.json', tokenizer],
    ['tokenizer_config.json', json(tokenizerConfig(tokenizer, classifier))],
    [WEFT_FILE, json(weftOf(classifier))],
  ]);
  if (classifier.pooling === 'mean') files.set(MEAN_FILE, await meanClassifier(architecture));
  return files;
}

const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;

/**
 * The base model's config.json with the labels. transformers' own classes pool the first token, which would silently give wrong scores for
 * `mean`. So the type is then one that transformers knows only by the class in the folder.
 */
function configOf(base: object, { pooling, labels }: MergedClassifier, architecture: Architecture) {
  const mean = pooling === 'mean' && {
    architectures: ['MeanForSequenceClassification'],
    model_type: meanType(architecture),
    auto_map: {
      AutoConfig: 'modeling_mean.MeanConfig',
      AutoModelForSequenceClassification: 'modeling_mean.MeanForSequenceClassification',
    },
  };
  return {
    ...base,
    architectures: [architecture.classifierClass],
    dtype: 'float32',
    id2label: Object.fromEntries(labels.entries()),
    label2id: Object.fromEntries(labels.map((label, i) => [label, i])),
    num_labels: labels.length,
    problem_type: 'single_label_classification',
    ...mean,
  };
}

const meanType = ({ type }: Architecture) => `${type}-mean`;

/** The class that pools by the mean, under the names that config.json gives. */
async function meanClassifier(architecture: Architecture): Promise<string> {
  const classes = await readFile(MEAN_CLASSIFIERS, 'utf8');
  const { type } = architecture;
  return `${classes}

class MeanConfig(MEAN_CLASSIFIERS["${type}"].config_class):
    model_type = "${meanType(architecture)}"


class MeanForSequenceClassification(MEAN_CLASSIFIERS["${type}"]):
    config_class = MeanConfig
`;
}

/** The settings that tokenizer.json lacks: the length, the padding of batches, and that a single text has no token types. */
function tokenizerConfig(tokenizer: Uint8Array, { maxLength }: MergedClassifier) {
  const { added_tokens } = JSON.parse(new TextDecoder().decode(tokenizer)) as {
    added_tokens: { content: string }[];
  };
  const padding = added_tokens.find(({ content }) => ['[PAD]', '<pad>'].includes(content));
  return {
    tokenizer_class: 'PreTrainedTokenizerFast',
    model_max_length: maxLength,
    model_input_names: ['input_ids', 'attention_mask'],
    ...(padding && { pad_token: padding.content }),
  };
}

/** The settings that decide about scores besides the model itself. */
function weftOf({ base, pooling, labels, maxLength, temperature }: MergedClassifier) {
  return { format: 'merged', base_model: base.id, pooling, labels, max_length: maxLength, temperature };
}

function readme({ base, pooling, labels, maxLength, temperature }: MergedClassifier): string {
  const trusts = pooling === 'mean' ? ', trust_remote_code=True' : '';
  const mean = `
The classifier reads the mean of the last hidden states, which no class of transformers does: the class is in \`${MEAN_FILE}\`, and
\`trust_remote_code=True\` lets transformers run it.
`;
  return `# A text classifier of ${labels.length} labels

The base model ${base.id} with an adapter merged into its weights (fp32). Texts are cut to ${maxLength} tokens, and scores are calibrated by a temperature.

\`\`\`python
from transformers import AutoModelForSequenceClassification, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("."${trusts})
model = AutoModelForSequenceClassification.from_pretrained("."${trusts}).eval()
inputs = tokenizer(["a text", "another"], padding=True, truncation=True, return_tensors="pt")
scores = (model(**inputs).logits / ${temperature}).softmax(-1)
\`\`\`
${pooling === 'mean' ? mean : ''}
Column i of the scores is \`id2label[i]\` of \`config.json\`.
`;
}
