/** A column by its name, or with its classes: `number` stands to the right, `narrow-hide` is left out on a phone. */
export type Column = string | readonly [name: string, classes: string];

/** The head of a table. */
export function Heads({ columns }: { columns: readonly Column[] }) {
  return (
    <thead>
      <tr>
        {columns.map((column) => {
          const [name, classes] = typeof column === 'string' ? [column] : column;
          return (
            <th key={name} scope="col" class={classes}>
              {name}
            </th>
          );
        })}
      </tr>
    </thead>
  );
}
