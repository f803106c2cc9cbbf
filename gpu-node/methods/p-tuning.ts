import { AUTO_VIRTUAL_TOKENS, PROMPT_TENSOR } from '../../shared/methods/prompt-format.ts';
import { NO_DROPOUT } from '../models/sites.ts';
import { virtualTokenSites } from '../parts/virtual-tokens.ts';
import { given, type PeftMethod } from './method.ts';
import { servedPrompt } from './prompt.ts';
import { encodePrompt, encoderTrainables } from './prompt-encoder.ts';

/**
 * P-tuning (Liu et al. 2021, arXiv:2103.10385) as HF PEFT has it: a prompt that a small network computes, which trains more steadily than
 * the prompt itself. The network is left behind: adapters hold what it came to.
 */
export const pTuning: PeftMethod<'p_tuning'> = {
  ...servedPrompt,
  resolve: ({ type, ...request }, { hiddenSize }) => ({
    type,
    num_virtual_tokens: given(request.num_virtual_tokens, AUTO_VIRTUAL_TOKENS),
    encoder: given(request.encoder, 'mlp'),
    encoder_hidden_size: given(request.encoder_hidden_size, hiddenSize),
    encoder_num_layers: given(request.encoder_num_layers, 2),
    encoder_dropout: given(request.encoder_dropout, 0),
  }),
  trainables: (config, { hiddenSize }) => encoderTrainables(config, hiddenSize),
  sites: (config, { hiddenSize }, parameters, dropout) =>
    virtualTokenSites(() => encodePrompt(config, hiddenSize, parameters, dropout)),
  dropout: ({ encoder_dropout }) => encoder_dropout,
  saved: (config, { hiddenSize }, parameters) => ({
    [PROMPT_TENSOR]: encodePrompt(config, hiddenSize, parameters, NO_DROPOUT),
  }),
};
