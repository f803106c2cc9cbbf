import type { Op } from '../graph/ir.ts';
import { addOp } from './add.ts';
import { castOp } from './cast.ts';
import { concatOp } from './concat.ts';
import { cosOp } from './cos.ts';
import { detachOp } from './detach.ts';
import { divOp } from './div.ts';
import { dynamicQuantizeMatMulOp } from './dynamic-quantize-mat-mul.ts';
import { equalOp } from './equal.ts';
import { erfOp } from './erf.ts';
import { expOp } from './exp.ts';
import { expandOp } from './expand.ts';
import { gatherOp } from './gather.ts';
import { geluOp } from './gelu.ts';
import { gemmOp } from './gemm.ts';
import { greaterOp } from './greater.ts';
import { hardSigmoidOp } from './hard-sigmoid.ts';
import { layerNormalizationOp } from './layer-normalization.ts';
import { logOp } from './log.ts';
import { logSoftmaxOp } from './log-softmax.ts';
import { matMulOp } from './mat-mul.ts';
import { matMulBnb4Op } from './mat-mul-bnb4.ts';
import { matMulIntegerToFloatOp } from './mat-mul-integer-to-float.ts';
import { mulOp } from './mul.ts';
import { negOp } from './neg.ts';
import { padOp } from './pad.ts';
import { quantizeLinearOp } from './quantize-linear.ts';
import { rangeOp } from './range.ts';
import { reciprocalOp } from './reciprocal.ts';
import { reduceMeanOp } from './reduce-mean.ts';
import { reduceSumOp } from './reduce-sum.ts';
import { reluOp } from './relu.ts';
import { reshapeOp } from './reshape.ts';
import { scatterAddOp } from './scatter-add.ts';
import { shapeOp } from './shape.ts';
import { sigmoidOp } from './sigmoid.ts';
import { sinOp } from './sin.ts';
import { sliceOp } from './slice.ts';
import { softmaxOp } from './softmax.ts';
import { splitOp } from './split.ts';
import { sqrtOp } from './sqrt.ts';
import { squeezeOp } from './squeeze.ts';
import { subOp } from './sub.ts';
import { swapPairOp } from './swap-pair.ts';
import { tanhOp } from './tanh.ts';
import { transposeOp } from './transpose.ts';
import { unsqueezeOp } from './unsqueeze.ts';
import { whereOp } from './where.ts';

export { add } from './add.ts';
export { cast } from './cast.ts';
export { concat } from './concat.ts';
export { cos } from './cos.ts';
export { crossEntropy } from './cross-entropy.ts';
export { detach } from './detach.ts';
export { div } from './div.ts';
export { dynamicQuantizeMatMul } from './dynamic-quantize-mat-mul.ts';
export { equal } from './equal.ts';
export { erf } from './erf.ts';
export { exp } from './exp.ts';
export { expand } from './expand.ts';
export { gather } from './gather.ts';
export { gelu } from './gelu.ts';
export { gemm } from './gemm.ts';
export { greater } from './greater.ts';
export { hardSigmoid } from './hard-sigmoid.ts';
export { layerNormalization } from './layer-normalization.ts';
export { linear } from './linear.ts';
export { log } from './log.ts';
export { logSoftmax } from './log-softmax.ts';
export { asMatrix, matMul } from './mat-mul.ts';
export { dequantize, matMulBnb4, NF4_BLOCK, type Nf4Matrix } from './mat-mul-bnb4.ts';
export { matMulIntegerToFloat } from './mat-mul-integer-to-float.ts';
export { mul } from './mul.ts';
export { neg } from './neg.ts';
export { pad } from './pad.ts';
export { quantizeLinear } from './quantize-linear.ts';
export { range } from './range.ts';
export { reciprocal } from './reciprocal.ts';
export { reduceMean } from './reduce-mean.ts';
export { reduceSum } from './reduce-sum.ts';
export { relu } from './relu.ts';
export { reshape } from './reshape.ts';
export { scatterAdd } from './scatter-add.ts';
export { shapeTensor, sizeOf } from './shape.ts';
export { sigmoid } from './sigmoid.ts';
export { sin } from './sin.ts';
export { slice } from './slice.ts';
export { softmax } from './softmax.ts';
export { split } from './split.ts';
export { sqrt } from './sqrt.ts';
export { squeeze } from './squeeze.ts';
export { sub } from './sub.ts';
export { swapPair } from './swap-pair.ts';
export { tanh } from './tanh.ts';
export { swapLastAxes, transpose } from './transpose.ts';
export { unsqueeze } from './unsqueeze.ts';
export { where } from './where.ts';

/**
 * Every operator Weft emits. An operator carries its shape rule, its gradient (or the reason why it has none)
 * and sample cases; the tests walk this table, so an operator that is not checked cannot exist.
 */
export const OPS = {
  add: addOp,
  cast: castOp,
  concat: concatOp,
  cos: cosOp,
  detach: detachOp,
  div: divOp,
  dynamicQuantizeMatMul: dynamicQuantizeMatMulOp,
  equal: equalOp,
  erf: erfOp,
  exp: expOp,
  expand: expandOp,
  gather: gatherOp,
  gelu: geluOp,
  gemm: gemmOp,
  greater: greaterOp,
  hardSigmoid: hardSigmoidOp,
  layerNormalization: layerNormalizationOp,
  logSoftmax: logSoftmaxOp,
  log: logOp,
  matMul: matMulOp,
  matMulBnb4: matMulBnb4Op,
  matMulIntegerToFloat: matMulIntegerToFloatOp,
  mul: mulOp,
  neg: negOp,
  pad: padOp,
  quantizeLinear: quantizeLinearOp,
  range: rangeOp,
  reciprocal: reciprocalOp,
  reduceMean: reduceMeanOp,
  reduceSum: reduceSumOp,
  relu: reluOp,
  reshape: reshapeOp,
  scatterAdd: scatterAddOp,
  shape: shapeOp,
  sigmoid: sigmoidOp,
  sin: sinOp,
  slice: sliceOp,
  softmax: softmaxOp,
  split: splitOp,
  sqrt: sqrtOp,
  squeeze: squeezeOp,
  sub: subOp,
  swapPair: swapPairOp,
  tanh: tanhOp,
  transpose: transposeOp,
  unsqueeze: unsqueezeOp,
  where: whereOp,
} satisfies Record<string, Op<never>>;
