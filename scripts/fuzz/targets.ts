import { adapter } from './adapter.ts';
import { baseModel } from './base-model.ts';
import { checkpoint } from './checkpoint.ts';
import { dataset } from './dataset.ts';
import { multipart } from './multipart.ts';
import { request } from './request.ts';
import type { FuzzTarget } from './target.ts';
import { tokenizerFile } from './tokenizer-file.ts';
import { tokenizerText } from './tokenizer-text.ts';

/** Every reader of foreign input, by name. */
export const TARGETS: Readonly<Record<string, FuzzTarget>> = {
  adapter,
  dataset,
  multipart,
  'tokenizer-file': tokenizerFile,
  'tokenizer-text': tokenizerText,
  checkpoint,
  request,
  'base-model': baseModel,
};
