import { describe, expect, it } from 'vitest';
import { ingest, refusal } from '../../../support/ingest.ts';

const jsonl = (...rows: unknown[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join('');
const turn = (role: string, content: unknown, more = {}) => ({ role, content, ...more });
const chat = (...messages: unknown[]) => ({ messages });
const text = (words: string) => ({ type: 'text', text: words });

describe('a row of a chat', () => {
  it.each([
    ['one question', [turn('user', 'Win now'), turn('assistant', ' spam ')], 'Win now'],
    [
      'with instructions before it',
      [turn('system', 'Is it spam?'), turn('user', 'Win now'), turn('assistant', 'spam')],
      'Is it spam?\nWin now',
    ],
    [
      'with a developer’s instructions, and parts of text',
      [
        turn('developer', [text('Is it '), text('spam?')]),
        turn('user', 'Win now'),
        turn('assistant', [text('spam')]),
      ],
      'Is it spam?\nWin now',
    ],
    [
      'of several turns, of which the last is the label',
      [
        turn('user', 'Hello'),
        turn('assistant', null, { tool_calls: [{}] }),
        turn('tool', '{"a":1}'),
        turn('assistant', 'And?', { weight: 0 }),
        turn('user', 'Win now'),
        turn('assistant', 'spam', { weight: 1 }),
      ],
      'Hello\nWin now',
    ],
  ])('is a labelled text: %s', async (_, messages, expected) => {
    const { rows } = await ingest(jsonl({ messages, tools: [], parallel_tool_calls: false }));
    expect(rows).toEqual([{ text: expected, label: 'spam' }]);
  });

  it.each([
    ['no list', { messages: 'user: hi' }, 'messages is no list of turns'],
    ['an empty list', chat(), 'messages is no list of turns'],
    ['a turn without a role', chat({ content: 'a' }), 'messages.0.role is missing'],
    ['a turn that is a string', chat('a'), 'messages.0 is a string, not an object with role and content'],
    ['a user who says nothing', chat(turn('user', null)), 'messages.0.content is missing'],
    ['a number', chat(turn('user', 3)), 'messages.0.content is a number, not a string'],
    [
      'an image',
      chat(turn('user', [text('a'), { type: 'image_url', image_url: {} }])),
      'messages.0.content.1 is of type "image_url"; only text is read',
    ],
    [
      'no turn of the assistant’s at its end',
      chat(turn('user', 'a'), turn('assistant', 'x'), turn('user', 'b')),
      "the last turn is the user's; it must be the assistant's, whose content is the label",
    ],
    [
      'a label that is not to be learned',
      chat(turn('user', 'a'), turn('assistant', 'x', { weight: 0 })),
      'the last turn has weight 0, so the row has no label to learn',
    ],
    ['no text', chat(turn('assistant', 'x')), 'the text of the system and user turns is empty'],
    [
      'a tool’s call for a label',
      chat(turn('user', 'a'), turn('assistant', null, { tool_calls: [{}] })),
      "the last turn, the assistant's, is empty",
    ],
    [
      'an answer too long for a label',
      chat(turn('user', 'a'), turn('assistant', 'x'.repeat(257))),
      "the last turn, the assistant's, has 257 characters, at most 256 are accepted",
    ],
  ])('is refused with %s', async (_, row, message) => {
    const good = chat(turn('user', 'a'), turn('assistant', 'x'));
    expect((await refusal(jsonl(good, row))).errors).toEqual([{ line: 2, message }]);
  });
});

describe('a row of prompt and completion', () => {
  it('is a labelled text; the prompt stays as it is', async () => {
    const { rows } = await ingest(
      jsonl({ prompt: 'Win now ->', completion: ' spam' }, { prompt: 'b', completion: 3 }),
    );
    expect(rows).toEqual([
      { text: 'Win now ->', label: 'spam' },
      { text: 'b', label: '3' },
    ]);
  });

  it('is refused in its own words', async () => {
    expect(
      (await refusal(jsonl({ prompt: 'a' }, { completion: 'x' }, { prompt: ['a'], completion: 'x' }))).errors,
    ).toEqual([
      { line: 1, message: 'completion is missing' },
      { line: 2, message: 'prompt is missing' },
      { line: 3, message: 'prompt is an array, not a string' },
    ]);
  });
});

it('a row with a text and a label is read by them, whatever else it has', async () => {
  const row = { text: 'a', label: 'x', messages: 3, prompt: 'b', completion: 'y' };
  expect((await ingest(jsonl(row))).rows).toEqual([{ text: 'a', label: 'x' }]);
});
