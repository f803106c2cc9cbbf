import { adapter } from './adapter.ts';
import { checkpoint } from './checkpoint.ts';
import { dataset } from './dataset.ts';
import { multipart } from './multipart.ts';
import type { FuzzTarget } from './target.ts';
import { tokenizerFile } from './tokenizer-file.ts';
import { tokenizerText } from './tokenizer-text.ts';

/** Everything that reads what others wrote, by name. */
export const TARGETS: Readonly<Record<string, FuzzTarget>> = {
  adapter,
  dataset,
  multipart,
  'tokenizer-file': tokenizerFile,
  'tokenizer-text': tokenizerText,
  checkpoint,
};
