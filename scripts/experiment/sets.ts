/** A set of the published experiment: a folder with train.jsonl and validation.jsonl, one `{"text", "label"}` per line. */
export interface DataSet {
  /** Name of its folder. */
  readonly name: string;
  readonly title: string;
  /** Origin of its rows, and how they differ from those of the published experiment. */
  readonly origin: string;
}

export const SETS: readonly DataSet[] = [
  {
    name: 'ag_news',
    title: 'AG News',
    origin: 'the 7,600 rows of the test file, split 80/20 by label, as published',
  },
  { name: 'auditor_sentiment', title: 'Auditor', origin: 'its own training and test rows' },
  { name: 'financial_phrasebank', title: 'FinPhrase', origin: 'sentences_allagree, split 90/10 by label' },
  {
    name: 'imdb_sample',
    title: 'IMDb (sample)',
    origin: 'another sample of IMDb than the published one: 1,000 reviews, split 80/20',
  },
  { name: 'tweet_eval_irony', title: 'Irony', origin: "TweetEval's own training and validation rows" },
  {
    name: 'tweet_eval_stance_abortion',
    title: 'Stance abortion',
    origin: "TweetEval's own training and validation rows",
  },
];

/** A row of the published table: weighted F1 on the validation rows, in the order of `SETS`. */
export interface PublishedRow {
  readonly title: string;
  readonly parameters: string;
  readonly f1: readonly number[];
  readonly mean: number;
}

export const PUBLISHED: readonly PublishedRow[] = [
  { title: 'BERT-base, LoRA', parameters: '110 M', f1: [91.7, 86.6, 99.6, 84.6, 66.7, 64.2], mean: 82.2 },
  { title: 'BERT-large, LoRA', parameters: '335 M', f1: [93.6, 87.3, 98.2, 82.5, 70.0, 64.0], mean: 82.6 },
  { title: 'FLAN-T5-base, LoRA', parameters: '236 M', f1: [95.1, 85.9, 91.7, 87.0, 62.6, 54.8], mean: 80.0 },
];
