import type { Value } from '../graph/ir.ts';
import {
  add,
  concat,
  expand,
  gather,
  linear,
  matMul,
  mul,
  reshape,
  sigmoid,
  split,
  swapLastAxes,
  tanh,
} from '../ops/index.ts';

/** The tensors of one direction of a layer as torch has them, rows in the order of the gates i, f, g and o: `[4·size, in]`, `[4·size, size]`, `[4·size]` twice. */
export interface Direction {
  readonly inputWeight: Value;
  readonly stateWeight: Value;
  readonly inputBias: Value;
  readonly stateBias: Value;
}

/**
 * A layer of a bidirectional LSTM (Hochreiter & Schmidhuber 1997) over a known number of steps, as `torch.nn.LSTM` computes it from a state of
 * zeros: x `[steps, in]` gives `[steps, 2·size]`. It is unrolled, so that it differentiates; both directions take a step at once.
 */
export function lstmLayer(x: Value, forward: Direction, backward: Direction): Value {
  const steps = x.shape[0] as number;
  const size = forward.stateWeight.shape[1] as number;
  const reversed = x.graph.constant('int32', [steps], [...new Array(steps).keys()].reverse());
  const stacked = ({ inputWeight, inputBias, stateBias }: Direction) => {
    const gates = linear(x, swapLastAxes(inputWeight), add(inputBias, stateBias));
    return reshape(gates, [steps, 1, 1, 4 * size]);
  };
  const inputs = concat([stacked(forward), gather(stacked(backward), reversed)], 1);
  const weights = [forward, backward].map(({ stateWeight }) =>
    reshape(swapLastAxes(stateWeight), [1, 1, size, 4 * size]),
  );
  const states = stepwise(split(inputs, 0, new Array<number>(steps).fill(1)), concat(weights, 1), size);
  const [ahead, back] = split(concat(states, 0), 1, [1, 1]);
  return reshape(concat([ahead!, gather(back!, reversed)], 3), [steps, 2 * size]);
}

/** The state after each step, `[1, 2, 1, size]`; what the input adds to the gates is `[1, 2, 1, 4·size]` a step. */
function stepwise(inputs: readonly Value[], stateWeight: Value, size: number): Value[] {
  const zeros = expand(stateWeight.graph.scalar(0), [1, 2, 1, size]);
  let [state, cell] = [zeros, zeros];
  return inputs.map((input) => {
    const gates = add(matMul(state, stateWeight), input);
    const [enter, forget, candidate, leave] = split(gates, 3, [size, size, size, size]);
    cell = add(mul(sigmoid(forget!), cell), mul(sigmoid(enter!), tanh(candidate!)));
    state = mul(sigmoid(leave!), tanh(cell));
    return state;
  });
}
