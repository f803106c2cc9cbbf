import { isObject, type JsonObject, kindOf } from './rows.ts';

/** What stands between the turns of a text. */
const BETWEEN_TURNS = '\n';
/** Roles whose turns are the text; `developer` is what newer models call `system`. */
const TEXT_ROLES = ['system', 'developer', 'user'];

type Turn = { role: string; text: string } | { error: string };

/**
 * A chat in OpenAI's form as a labelled text: its system and user turns, a line end between two, are the text, and the last turn, which must
 * be the assistant's, is the label. Earlier turns of the assistant and of tools are left out.
 */
export function exampleOfChat(messages: unknown): { text: string; label: string } | { error: string } {
  const turns = readTurns(messages);
  if ('error' in turns) return turns;
  const last = turns.at(-1)!;
  if (last.role !== 'assistant') {
    return {
      error: `the last turn is the ${last.role}'s; it must be the assistant's, whose content is the label`,
    };
  }
  const { weight } = (messages as JsonObject[]).at(-1)!;
  if (weight === 0) return { error: 'the last turn has weight 0, so the row has no label to learn' };
  return { text: textOf(turns), label: last.text };
}

function textOf(turns: readonly { role: string; text: string }[]): string {
  return turns
    .filter(({ role }) => TEXT_ROLES.includes(role))
    .map(({ text }) => text)
    .join(BETWEEN_TURNS);
}

function readTurns(messages: unknown): { role: string; text: string }[] | { error: string } {
  if (!Array.isArray(messages) || messages.length === 0) return { error: 'messages is no list of turns' };
  const turns: { role: string; text: string }[] = [];
  for (const [at, message] of messages.entries()) {
    const turn = readTurn(message);
    if ('error' in turn) return { error: `messages.${at}${turn.error}` };
    turns.push(turn);
  }
  return turns;
}

/** A turn; the text of roles that are not read is left empty. */
function readTurn(message: unknown): Turn {
  if (!isObject(message)) return { error: ` is ${kindOf(message)}, not an object with role and content` };
  const { role, content } = message;
  if (typeof role !== 'string') return { error: '.role is missing' };
  if (!TEXT_ROLES.includes(role) && role !== 'assistant') return { role, text: '' };
  if (typeof content === 'string') return { role, text: content };
  // An assistant that only calls a tool says nothing.
  if (content === undefined || content === null) {
    return role === 'assistant' ? { role, text: '' } : { error: '.content is missing' };
  }
  if (!Array.isArray(content)) return { error: `.content is ${kindOf(content)}, not a string` };
  let text = '';
  for (const [at, part] of content.entries()) {
    const type = isObject(part) ? part.type : undefined;
    if (type !== 'text') {
      return {
        error: `.content.${at} is ${type === undefined ? 'no part' : `of type ${JSON.stringify(type)}`}; only text is read`,
      };
    }
    const { text: piece } = part as JsonObject;
    if (typeof piece !== 'string') return { error: `.content.${at}.text is ${kindOf(piece)}, not a string` };
    text += piece;
  }
  return { role, text };
}
