import { describe, expect, it } from 'vitest';
import type { Columns } from '../../../../shared/dataset/find-in-row.ts';
import { ingest, refusal } from '../../../support/ingest.ts';

const choice = (choices: string[], from = 'sentiment', more = {}) => ({
  id: 'Dx_aB91ISN',
  type: 'choices',
  value: { choices, ...more },
  origin: 'manual',
  to_name: 'text',
  from_name: from,
});
const annotation = (...result: object[]) => ({
  id: 1001,
  completed_by: 1,
  result,
  was_cancelled: false,
  ground_truth: false,
});
const task = (...annotations: object[]) => ({
  id: 1,
  annotations,
  file_upload: 'reviews.csv',
  drafts: [],
  predictions: [{ result: [choice(['ignored'])] }],
  data: { text: 'good', source: 'https://example.com/1' },
  meta: {},
  project: 83,
});
const record = (responses: object, fields: object = { text: 'good' }) => ({
  id: '7',
  fields,
  metadata: { split: 'a' },
  suggestions: { label: { value: 'ignored', score: 0.9, agent: 'model' } },
  responses,
  vectors: {},
  _server_id: 'b1',
});
const answer = (value: unknown, more = {}) => ({ value, user_id: 'u1', ...more });
const minimal = (more: object) => ({
  text: 'good',
  id: 1,
  annotator: 1,
  annotation_id: 1001,
  created_at: '2021-03-09T22:16:08.728353Z',
  updated_at: '2021-03-09T22:16:08.728378Z',
  lead_time: 4.2,
  ...more,
});

/** Rows of each tool's export whose text is "good" and whose label is "positive". */
const TAKEN: [string, object, Columns?][] = [
  ['Label Studio, JSON', task(annotation(choice(['positive'])))],
  [
    'Label Studio, two people who agree and one who cancelled',
    task(annotation(choice(['positive'])), annotation(choice(['positive'])), {
      ...annotation(choice(['negative'])),
      was_cancelled: true,
    }),
  ],
  [
    'Label Studio, of two controls the one that is named',
    task(annotation(choice(['positive']), choice(['book'], 'topic'))),
    { label: 'sentiment' },
  ],
  [
    'Label Studio, with remarks beside the choice',
    task(annotation({ type: 'textarea', from_name: 'why', value: { text: ['fine'] } }, choice(['positive']))),
  ],
  [
    'Label Studio, with a text under another name',
    { ...task(annotation(choice(['positive']))), data: { reviewText: 'good', stars: 5 } },
  ],
  [
    'Label Studio, of two texts the one that is named',
    { ...task(annotation(choice(['positive']))), data: { title: 'x', body: 'good' } },
    { text: 'body' },
  ],
  ['Label Studio, JSON-MIN', minimal({ sentiment: 'positive' })],
  ['Label Studio, JSON-MIN with a list of one', minimal({ sentiment: { choices: ['positive'] } })],
  [
    'Label Studio, JSON-MIN with more data',
    minimal({ sentiment: 'positive', source: 'mail' }),
    { label: 'sentiment' },
  ],
  ['Argilla, to_json', record({ label: [answer('positive')] })],
  [
    'Argilla, submitted answers alone',
    record({
      label: [answer('positive', { status: 'submitted' }), answer('negative', { status: 'draft' })],
      why: [],
    }),
  ],
  [
    'Argilla, of two questions the one that is named',
    record({ mood: [answer('positive')], topic: [answer('book')] }, { title: 'x', body: 'good' }),
    { text: 'body', label: 'mood' },
  ],
  [
    'Argilla, as its server lists responses',
    record([{ id: 'r', user_id: 'u1', status: 'submitted', values: { label: { value: 'positive' } } }]),
  ],
  [
    'Argilla, to_datasets',
    {
      id: '7',
      status: 'completed',
      _server_id: 'b1',
      review: 'good',
      'label.responses': ['positive', 'negative'],
      'label.responses.users': ['u1', 'u2'],
      'label.responses.status': ['submitted', 'discarded'],
      'label.suggestion': 'ignored',
      'label.suggestion.score': 0.9,
      'label.suggestion.agent': 'model',
    },
  ],
  [
    'Argilla 1',
    {
      text: null,
      inputs: { text: 'good' },
      prediction: [{ label: 'ignored', score: 1 }],
      annotation: 'positive',
      multi_label: false,
    },
  ],
  ['doccano', { id: 1, text: 'good', label: ['positive'], Comments: [] }],
  ['doccano with labels', { id: 1, data: 'good', labels: ['positive'], source: 'mail' }],
  ['doccano, intents without slots', { id: 1, text: 'good', cats: ['positive'], entities: [] }],
];

/** Rows of each tool's export that are no labelled text, and what is said of them. */
const REFUSED: [string, object, string][] = [
  ['Label Studio, not annotated', task(), 'not annotated'],
  ['Label Studio, skipped', task({ ...annotation(choice(['a'])), was_cancelled: true }), 'not annotated'],
  [
    'Label Studio, several labels',
    task(annotation(choice(['a', 'b']))),
    'a multi-label annotation: "a", "b"',
  ],
  [
    'Label Studio, people who disagree',
    task(annotation(choice(['a'])), annotation(choice(['b']))),
    'annotators disagree: "a", "b"',
  ],
  [
    'Label Studio, spans',
    task(annotation({ type: 'labels', from_name: 'label', value: { start: 0, end: 2, labels: ['PER'] } })),
    'annotations of type "labels", such as span annotations',
  ],
  [
    'Label Studio, types that are none',
    task(annotation({ type: { a: 1 }, value: {} }, { value: {} })),
    'annotations of type {"a":1}, nothing, such as',
  ],
  [
    'Label Studio, a choice for a span',
    task(annotation(choice(['a'], 'x', { start: 0, end: 2 }))),
    'span annotations',
  ],
  [
    'Label Studio, two controls',
    task(annotation(choice(['a'], 'mood'), choice(['b'], 'topic'))),
    'several labels: of "mood", "topic"; name one by label_column',
  ],
  [
    'Label Studio, two texts',
    { ...task(annotation(choice(['a']))), data: { title: 'x', body: 'y' } },
    'several fields are text: "title", "body"; name one by text_column',
  ],
  ['Label Studio, an image', { ...task(annotation(choice(['a']))), data: { n: 3 } }, 'text is missing'],
  [
    'Label Studio, JSON-MIN with several labels',
    minimal({ sentiment: { choices: ['a', 'b'] } }),
    'a multi-label annotation',
  ],
  [
    'Label Studio, JSON-MIN with spans',
    minimal({ label: [{ start: 0, end: 2, text: 'go', labels: ['PER'] }] }),
    'span annotations',
  ],
  ['Argilla, no answer', record({}), 'not annotated: no response was submitted'],
  ['Argilla, several labels', record({ label: [answer(['a', 'b'])] }), 'a multi-label annotation'],
  ['Argilla, spans', record({ label: [answer([{ start: 0, end: 2, label: 'PER' }])] }), 'span annotations'],
  [
    'Argilla, two questions',
    record({ mood: [answer('a')], topic: [answer('b')] }),
    'several labels: of "mood", "topic"; name one by label_column',
  ],
  ['Argilla, a rating that is none', record({ label: [answer(1.5)] }), 'label is 1.5'],
  [
    'Argilla 1, several labels',
    { inputs: { text: 'a' }, prediction: null, annotation: ['a', 'b'], multi_label: true },
    'a multi-label annotation',
  ],
  ['Argilla 1, not annotated', { text: 'a', prediction: null, annotation: null }, 'not annotated'],
  ['doccano, not annotated', { id: 1, text: 'a', label: [] }, 'not annotated'],
  ['doccano, several labels', { id: 1, text: 'a', label: ['a', 'b'] }, 'a multi-label annotation: "a", "b"'],
  ['doccano, spans', { id: 1, text: 'a', label: [[0, 1, 'PER']] }, 'span annotations'],
  [
    'doccano, relations',
    { id: 1, text: 'a', entities: [{ id: 1, label: 'PER', start_offset: 0, end_offset: 1 }], relations: [] },
    'span annotations',
  ],
];

describe('an export of an annotation tool is taken as it is', () => {
  it.each(TAKEN)('%s', async (_, row, columns) => {
    const expected = [
      { text: 'good', label: 'positive' },
      { text: 'good', label: 'positive' },
    ];
    const jsonl = `${JSON.stringify(row)}\n`.repeat(2);
    expect((await ingest(jsonl, undefined, 'refuse', columns)).rows).toEqual(expected);
    const array = JSON.stringify([row, row], null, 2);
    expect((await ingest(array, undefined, 'refuse', columns)).rows).toEqual(expected);
  });
});

describe('an annotation that is no label of a text is refused by name', () => {
  it.each(REFUSED)('%s', async (_, row, why) => {
    const { errors } = await refusal(JSON.stringify([{ text: 'a', label: 'x' }, row]));
    expect(errors).toEqual([{ line: 1, message: expect.stringContaining(why) }]);
  });
});
