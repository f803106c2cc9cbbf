import type { TokenBatch } from '../models/inputs.ts';

/** A tokenized, labelled text; `label` is an index into the task's labels. */
export interface TrainingExample {
  readonly ids: ArrayLike<number>;
  readonly label: number;
}

/**
 * Groups examples of similar length, so that none of the groups of several, padded, has more tokens than `most`: as many groups as
 * that takes, rounded up to a multiple of `lanes`, which work on them side by side, and as even as lengths allow.
 */
export function splitIntoParts<E extends TrainingExample>(
  examples: readonly E[],
  most: number,
  lanes: number,
): E[][] {
  const sorted = [...examples].sort((a, b) => a.ids.length - b.ids.length);
  const fewest = groupByTokens(sorted, most).length;
  const count = Math.ceil(fewest / lanes) * lanes;
  let [tooFew, enough] = [0, most];
  while (enough - tooFew > 1) {
    const middle = (tooFew + enough) >> 1;
    if (groupByTokens(sorted, middle).length > count) tooFew = middle;
    else enough = middle;
  }
  return groupByTokens(sorted, enough);
}

/** A long example may have more tokens than said, alone. */
function groupByTokens<E extends TrainingExample>(sorted: readonly E[], most: number): E[][] {
  const groups: E[][] = [];
  for (const example of sorted) {
    const last = groups.at(-1);
    if (last && (last.length + 1) * example.ids.length <= most) last.push(example);
    else groups.push([example]);
  }
  return groups;
}

/** Examples padded to the longest of them. */
export function toTokenBatch(examples: readonly TrainingExample[]): TokenBatch {
  const rows = examples.length;
  const length = Math.max(...examples.map(({ ids }) => ids.length));
  const inputIds = new Int32Array(rows * length);
  const attentionMask = new Float32Array(rows * length);
  examples.forEach(({ ids }, row) => {
    inputIds.set(ids, row * length);
    attentionMask.fill(1, row * length, row * length + ids.length);
  });
  return { rows, length, inputIds, attentionMask };
}
