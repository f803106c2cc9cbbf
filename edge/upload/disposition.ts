const PARAMETER = /;\s*(name|filename\*?)=(?:"((?:[^"\\]|\\.)*)"|([^;\s"]+))/gi;
const MAX_FILENAME = 255;

/** The name and file name in a part's `Content-Disposition` (RFC 7578 section 4.2, RFC 5987 for `filename*`). */
export function parseDisposition(header: string): { name: string | undefined; filename: string | undefined } {
  if (!/^\s*form-data\s*(;|$)/i.test(header)) return { name: undefined, filename: undefined };
  const found = new Map<string, string>();
  for (const [, key, quoted, token] of header.matchAll(PARAMETER)) {
    found.set(key!.toLowerCase(), quoted === undefined ? token! : unescaped(quoted));
  }
  return { name: found.get('name'), filename: extended(found.get('filename*')) ?? found.get('filename') };
}

/** Removes escapes: browsers write a quote as %22, other clients with a backslash. */
function unescaped(quoted: string): string {
  return quoted
    .replaceAll(/\\(["\\])/g, '$1')
    .replaceAll(/%(22|0D|0A)/gi, (code) => decodeURIComponent(code));
}

function extended(value: string | undefined): string | undefined {
  const encoded = /^utf-8'[^']*'(.*)$/i.exec(value ?? '')?.[1];
  try {
    return encoded === undefined ? undefined : decodeURIComponent(encoded);
  } catch {
    return undefined;
  }
}

/** A client's file name made fit to show: its last part, without control characters, at most 255 characters. */
export function displayName(filename: string): string {
  const last = filename.split(/[/\\]/).at(-1) ?? '';
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is removed
  const clean = last.replaceAll(/[\u0000-\u001f\u007f]/g, '').trim();
  return Array.from(clean).slice(0, MAX_FILENAME).join('') || 'file';
}
