/**
 * sentencepiece's precompiled character map, which `Precompiled` in a tokenizer.json holds in base64: replacements of graphemes or
 * characters. The bytes are the size of a double-array trie (darts-clone), the trie, and the replacements, each ended by a 0.
 */
export class CharacterMap {
  readonly #trie: Uint32Array;
  readonly #replacements: Uint8Array;
  /** Replacement of each character of the basic plane, filled when it is first seen. */
  readonly #forms: string[] = [];
  readonly #encoder = new TextEncoder();
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  readonly #graphemes = new Intl.Segmenter('und', { granularity: 'grapheme' });

  /** @throws {RangeError} where the bytes are no such map */
  constructor(base64: string) {
    const bytes = Uint8Array.from(Buffer.from(base64, 'base64'));
    const size = bytes.length < 4 ? 0 : new DataView(bytes.buffer).getUint32(0, true);
    if (size === 0 || size % 4 !== 0 || 4 + size > bytes.length) throw new RangeError('no character map');
    const view = new DataView(bytes.buffer, 4, size);
    this.#trie = Uint32Array.from({ length: size / 4 }, (_, i) => view.getUint32(4 * i, true));
    this.#replacements = bytes.subarray(4 + size);
  }

  /** Replaces every grapheme of the text; a grapheme that the map lacks is replaced character by character. */
  normalize(text: string): string {
    let result = '';
    for (let at = 0; at < text.length; ) {
      if (standsAlone(text, at)) {
        result += this.#forms[text.charCodeAt(at)] ?? this.#form(text[at]!);
        at++;
        continue;
      }
      let end = at + 1;
      while (end < text.length && !standsAlone(text, end)) end++;
      for (const { segment } of this.#graphemes.segment(text.slice(at, end))) {
        result += this.#replaceGrapheme(segment);
      }
      at = end;
    }
    return result;
  }

  #replaceGrapheme(grapheme: string): string {
    const bytes = this.#encoder.encode(grapheme);
    // spm_precompiled looks up only graphemes of less than 6 bytes whole.
    const whole = bytes.length < 6 ? this.#find(bytes) : undefined;
    return whole ?? Array.from(grapheme, (character) => this.#form(character)).join('');
  }

  #form(character: string): string {
    const code = character.codePointAt(0)!;
    const known = this.#forms[code];
    if (known !== undefined) return known;
    const form = this.#find(this.#encoder.encode(character)) ?? character;
    if (code <= 0xffff) this.#forms[code] = form;
    return form;
  }

  /** The replacement of the shortest prefix that has one, which spm_precompiled takes for the whole. */
  #find(key: Uint8Array): string | undefined {
    const trie = this.#trie;
    let node = offsetOf(trie[0]!);
    for (const byte of key) {
      if (byte === 0) return undefined;
      node ^= byte;
      const unit = trie[node];
      if (unit === undefined || (unit & 0x8000_00ff) !== byte) return undefined;
      node ^= offsetOf(unit);
      if ((unit >>> 8) & 1) return this.#replacement((trie[node] ?? 0) & 0x7fff_ffff);
    }
    return undefined;
  }

  #replacement(begin: number): string {
    const end = this.#replacements.indexOf(0, begin);
    return this.#decoder.decode(this.#replacements.subarray(begin, end < 0 ? undefined : end));
  }
}

function offsetOf(unit: number): number {
  return (unit >>> 10) << ((unit & (1 << 9)) >>> 6);
}

/** The first combining mark; below it, only a carriage return and a line feed are one grapheme. */
const FIRST_MARK = 0x300;

/** True if a character is certainly a grapheme of its own, which saves the segmenter for most texts. */
function standsAlone(text: string, at: number): boolean {
  const [previous, code, next] = [text.charCodeAt(at - 1), text.charCodeAt(at), text.charCodeAt(at + 1)];
  const isCrLf = (code === 13 && next === 10) || (previous === 13 && code === 10);
  return code < FIRST_MARK && !(next >= FIRST_MARK) && !(previous >= FIRST_MARK) && !isCrLf;
}
