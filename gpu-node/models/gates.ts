import { add, mul, sigmoid, sub, unsqueeze } from '../ops/index.ts';
import { AXES, meanOfTokens } from './layout.ts';
import type { EncoderInputs } from './model.ts';
import { type Opening, rowsLinear, type Sites } from './sites.ts';

/** What an encoder's gates let through: the one formula of training, evaluation and serving. Padding has no say in it, so that a row does not depend on its batch. */
export function openingOf(inputs: EncoderInputs, sites: Sites): Opening {
  return (call) => {
    const gate = sites.gate?.(call);
    if (!gate) return undefined;
    const { weight, bias, live } = gate;
    const open = meanOfTokens(sigmoid(rowsLinear(call.x, weight, bias)), inputs);
    const share = live ? add(mul(sub(open, 1), live), 1) : open;
    return unsqueeze(share, [AXES[inputs.layout].seq]);
  };
}
