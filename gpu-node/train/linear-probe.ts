import { softmax } from '../../shared/metrics.ts';

/** Vectors and labels to fit a linear classifier to. */
export interface ProbeInput {
  /** `[rows, width]`, row-major. */
  readonly features: Float32Array;
  readonly width: number;
  /** The label of each row. */
  readonly actual: ArrayLike<number>;
  readonly labels: number;
  /** Weight of each label in the loss; by default all 1. */
  readonly classWeights?: readonly number[];
}

/** A linear classifier: weight `[labels, width]`, bias `[labels]`. */
export interface Probe {
  readonly weight: Float32Array;
  readonly bias: Float32Array;
}

/** Most steps of the search; below it, the largest element of the gradient that ends it. */
const MAX_ITERATIONS = 100;
const TOLERANCE = 1e-4;
/** Number of earlier steps that approximate the curvature. */
const MEMORY = 10;
const MAX_HALVINGS = 20;
/** Part of the decrease promised by the slope that a step must reach (Armijo). */
const SUFFICIENT = 1e-4;

/**
 * Fits multinomial logistic regression like scikit-learn's `LogisticRegression(C=1)`, on the features divided by their mean length. It
 * minimizes the summed cross entropy plus half the squared weights, with a free bias, by L-BFGS (Liu and Nocedal 1989). It is
 * deterministic. The returned weights are for the undivided features.
 */
export function fitLinearProbe(input: ProbeInput): Probe {
  const { features, width, labels } = input;
  const length = meanLength(features, width);
  const scaled = { ...input, features: features.map((x) => x / length) };
  const solution = minimize((point) => lossOf(scaled, point), new Float64Array(labels * (width + 1)));
  const weight = Float32Array.from(solution.subarray(0, labels * width), (w) => w / length);
  return { weight, bias: Float32Array.from(solution.subarray(labels * width)) };
}

function meanLength(features: Float32Array, width: number): number {
  let sum = 0;
  for (let at = 0; at < features.length; at += width) {
    sum += Math.sqrt(features.subarray(at, at + width).reduce((square, x) => square + x * x, 0));
  }
  return (sum * width) / features.length || 1;
}

interface Loss {
  readonly value: number;
  readonly gradient: Float64Array;
}

/** The loss and its gradient at a point, which holds the weights `[labels, width]` and then the biases. */
function lossOf({ features, width, actual, labels, classWeights }: ProbeInput, point: Float64Array): Loss {
  const gradient = new Float64Array(point.length);
  const biases = labels * width;
  const logits = new Float64Array(labels);
  let value = 0;
  for (let row = 0; row * width < features.length; row++) {
    const at = row * width;
    for (let label = 0; label < labels; label++) {
      let sum = point[biases + label]!;
      for (let i = 0; i < width; i++) sum += point[label * width + i]! * features[at + i]!;
      logits[label] = sum;
    }
    const probabilities = softmax(logits, 1);
    const own = actual[row]!;
    const weight = classWeights?.[own] ?? 1;
    value -= weight * Math.log(Math.max(probabilities[own]!, Number.MIN_VALUE));
    for (let label = 0; label < labels; label++) {
      const error = weight * (probabilities[label]! - Number(label === own));
      gradient[biases + label]! += error;
      for (let i = 0; i < width; i++) gradient[label * width + i]! += error * features[at + i]!;
    }
  }
  for (let i = 0; i < biases; i++) {
    value += point[i]! ** 2 / 2;
    gradient[i]! += point[i]!;
  }
  return { value, gradient };
}

interface Curvature {
  readonly step: Float64Array;
  readonly change: Float64Array;
}

function minimize(loss: (point: Float64Array) => Loss, start: Float64Array): Float64Array {
  let point = start;
  let { value, gradient } = loss(point);
  const memory: Curvature[] = [];
  for (let iteration = 0; iteration < MAX_ITERATIONS && largest(gradient) > TOLERANCE; iteration++) {
    const direction = descent(gradient, memory);
    const slope = dot(direction, gradient);
    let size = memory.length === 0 ? 1 / Math.max(1, Math.sqrt(dot(gradient, gradient))) : 1;
    let next = point;
    let reached = { value, gradient };
    for (let halving = 0; halving < MAX_HALVINGS; halving++, size /= 2) {
      next = point.map((x, i) => x + size * direction[i]!);
      reached = loss(next);
      if (reached.value <= value + SUFFICIENT * size * slope) break;
    }
    if (reached.value >= value) break;
    const step = next.map((x, i) => x - point[i]!);
    const change = reached.gradient.map((x, i) => x - gradient[i]!);
    if (dot(step, change) > 0) memory.push({ step, change });
    if (memory.length > MEMORY) memory.shift();
    point = next;
    ({ value, gradient } = reached);
  }
  return point;
}

/** The search direction from the gradient and the curvature along the last steps (the two-loop recursion). */
function descent(gradient: Float64Array, memory: readonly Curvature[]): Float64Array {
  const direction = gradient.map((x) => -x);
  const shares = memory.toReversed().map(({ step, change }) => {
    const share = dot(step, direction) / dot(step, change);
    addScaled(direction, change, -share);
    return share;
  });
  const last = memory.at(-1);
  if (last) {
    const scale = dot(last.step, last.change) / dot(last.change, last.change);
    for (let i = 0; i < direction.length; i++) direction[i]! *= scale;
  }
  for (const [i, { step, change }] of memory.entries()) {
    const share = shares[memory.length - 1 - i]!;
    addScaled(direction, step, share - dot(change, direction) / dot(step, change));
  }
  return direction;
}

function addScaled(sum: Float64Array, addend: Float64Array, factor: number): void {
  for (let i = 0; i < sum.length; i++) sum[i]! += factor * addend[i]!;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

function largest(values: Float64Array): number {
  return values.reduce((max, x) => Math.max(max, Math.abs(x)), 0);
}
