import type { LayoutName } from '../../../shared/adapter-format.ts';
import { ADAPTERHUB } from './adapterhub.ts';
import type { Cases } from './case.ts';
import { LIKE_BERT, LIKE_DISTILBERT } from './peft.ts';

/** The cases of each base model, by library; a library without any is not asked. */
export const BASES: Readonly<Record<string, Readonly<Partial<Record<LayoutName, Cases>>>>> = {
  'test/fixtures/tiny-bert': { peft: LIKE_BERT, adapterhub: ADAPTERHUB },
  'test/fixtures/tiny-roberta': { peft: LIKE_BERT, adapterhub: ADAPTERHUB },
  'test/fixtures/tiny-xlm-roberta': { peft: LIKE_BERT },
  'test/fixtures/tiny-distilbert': { peft: LIKE_DISTILBERT, adapterhub: ADAPTERHUB },
  'minilm-l6-384': { peft: LIKE_BERT },
};
