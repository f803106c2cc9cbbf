/** A row of a dataset, as it is trained on. */
export interface Row {
  readonly text: string;
  readonly label: string;
}

/** Reads JSONL as it comes. What is read so far is given now and then, so that a long file shows at once. */
export async function readRows(response: Response, onRows: (rows: readonly Row[]) => void): Promise<Row[]> {
  const rows: Row[] = [];
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { done, value = '' } = await reader.read();
    const lines = (rest + value).split('\n');
    rest = done ? '' : lines.pop()!;
    for (const line of lines) if (line !== '') rows.push(JSON.parse(line) as Row);
    if (done) return rows;
    onRows(rows);
  }
}

/** Rows as a file to upload. */
export function asJsonl(rows: readonly Row[]): Blob {
  return new Blob([rows.map(({ text, label }) => `${JSON.stringify({ text, label })}\n`).join('')]);
}
