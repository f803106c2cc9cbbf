import { describe, expect, it } from 'vitest';
import { FAMILIES, type FamilyName } from '../../../../shared/families.ts';
import type { TargetTensor } from '../../../../shared/methods/format.ts';
import { byPrompt, PROMPT_TENSOR } from '../../../../shared/methods/prompt-format.ts';
import { parseHeader, writeSafetensors } from '../../../../shared/safetensors.ts';

const WHAT = 'adapter spam@3';
const FORMAT = byPrompt('prompt', ({ hidden_size }) => hidden_size);

/** A file of `prompt_embeddings` and the head of a family, as PEFT 0.21.2 names them. */
function fileOf(family: FamilyName, prompt: readonly number[], virtualTokens = prompt[0]!) {
  const head = FAMILIES[family].head.flatMap((layer) => [
    [`base_model.${layer}.weight`, [8, 8]] as const,
    [`base_model.${layer}.bias`, [8]] as const,
  ]);
  const tensors = [[PROMPT_TENSOR, prompt] as const, ...head].map(([name, shape]) => {
    return [name, { shape: [...shape], data: new Float32Array(shape.reduce((a, b) => a * b)) }] as const;
  });
  const bytes = writeSafetensors(new Map(tensors));
  const header = parseHeader(bytes, bytes.byteLength, { file: WHAT, maxHeaderBytes: 1e6 });
  return { config: { virtualTokens }, header, what: WHAT };
}

describe('a file that names no module', () => {
  it.each(Object.keys(FAMILIES) as FamilyName[])('is known by its head to be of %s', (family) => {
    expect(FORMAT.familyOf(fileOf(family, [4, 8])).name).toBe(family);
  });

  it('is refused without a head', () => {
    const file = fileOf('bert', [4, 8]);
    const tensors = new Map([...file.header.tensors].slice(0, 1));
    expect(() => FORMAT.familyOf({ ...file, header: { ...file.header, tensors } })).toThrow(
      'adapter spam@3: it has no classifier of the encoders there are: BERT, RoBERTa, DistilBERT',
    );
  });

  it('has a row for each virtual token, and as many columns as the base model says', () => {
    const [target] = FORMAT.targets(fileOf('bert', [4, 8]), FAMILIES.bert);
    expect(FORMAT.virtualTokens?.(target!)).toBe(4);
    const [tensor] = FORMAT.tensorsOf(target!) as [TargetTensor];
    expect(tensor.needed({ family: 'bert', hidden_size: 16, num_layers: 2 }, WHAT)).toEqual([4, 16]);
  });

  it('is refused where adapter_config.json says another number of virtual tokens', () => {
    expect(() => FORMAT.targets(fileOf('bert', [4, 8], 5), FAMILIES.bert)).toThrow(
      'prompt_embeddings is [4,8], adapter_config.json says 5 virtual tokens',
    );
  });
});
