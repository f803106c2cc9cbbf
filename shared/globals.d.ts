/**
 * Globals that every JavaScript runtime has and no `lib` of the language describes. Declaring them here frees `shared` of Node's and
 * Workers' types.
 */
declare class TextEncoder {
  encode(input?: string): Uint8Array<ArrayBuffer>;
}
declare class TextDecoder {
  constructor(label?: string, options?: { fatal?: boolean; ignoreBOM?: boolean });
  decode(input?: Uint8Array): string;
}
