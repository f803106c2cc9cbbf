/** A tokenized, labelled text; `label` is an index into the task's labels. */
export interface TrainingExample {
  readonly ids: ArrayLike<number>;
  readonly label: number;
}

/**
 * Groups examples of similar length, so that no padded group of several has more than `most` tokens. It makes as many groups as that takes,
 * rounded up to a multiple of `lanes`, which work on them side by side; the groups are as even as lengths allow.
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

/** Groups sorted examples by padded tokens; a single long example may exceed `most`. */
function groupByTokens<E extends TrainingExample>(sorted: readonly E[], most: number): E[][] {
  const groups: E[][] = [];
  for (const example of sorted) {
    const last = groups.at(-1);
    if (last && (last.length + 1) * example.ids.length <= most) last.push(example);
    else groups.push([example]);
  }
  return groups;
}
