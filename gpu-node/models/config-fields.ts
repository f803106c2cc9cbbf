import { z } from 'zod';
import { MIN_TEXT_TOKENS } from '../../shared/peft-config.ts';

/** Bounds of what a config.json may say: they keep a crafted file from asking for absurd graphs. */
export const vocabSize = z.int().min(1).max(2_000_000);
export const width = z.int().min(1).max(16_384);
export const layerCount = z.int().min(1).max(256);
export const headCount = z.int().min(1).max(256);
export const feedForwardWidth = z.int().min(1).max(65_536);
export const positionCount = z.int().min(MIN_TEXT_TOKENS).max(65_536);
export const initializerRange = z.number().positive().max(1).default(0.02);

/** What of a BERT's config.json decides the computation, and of all that name their fields as BERT does. */
export const bertFields = {
  vocab_size: vocabSize,
  hidden_size: width,
  num_hidden_layers: layerCount,
  num_attention_heads: headCount,
  intermediate_size: feedForwardWidth,
  max_position_embeddings: positionCount,
  type_vocab_size: z.int().min(1).max(1024),
  hidden_act: z.literal('gelu'),
  layer_norm_eps: z.number().positive().max(0.1),
  initializer_range: initializerRange,
  position_embedding_type: z.literal('absolute').default('absolute'),
  is_decoder: z.literal(false).default(false),
  add_cross_attention: z.literal(false).default(false),
};

/** A refinement: the heads share the width evenly. */
export function headsDivide<H extends string, W extends string>(heads: H, size: W) {
  const even = (config: Record<H | W, number>) => config[size] % config[heads] === 0;
  return [even, { path: [heads] as PropertyKey[], message: `must divide ${size}` }] as const;
}
