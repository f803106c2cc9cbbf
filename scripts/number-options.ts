/** Reads a command's options that must be numbers above 0, by their names. @throws naming the first that is none */
export function numberOptions<N extends string>(
  values: Readonly<Record<N, string>>,
  names: readonly N[],
): Readonly<Record<N, number>> {
  const read = (name: N): [N, number] => {
    const value = Number(values[name]);
    if (value > 0) return [name, value];
    throw new Error(`--${name} is ${JSON.stringify(values[name])}; it must be a number above 0`);
  };
  return Object.fromEntries(names.map(read)) as Record<N, number>;
}
