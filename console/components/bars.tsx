import { count, percent } from '../format.ts';

export interface Bar {
  readonly name: string;
  readonly value: number;
  /** What stands behind the bar; by default the value and its share. */
  readonly text?: string;
  readonly isMain?: boolean;
}

/** Values side by side as bars, the longest of which fills the width, or with `of` a value that would. */
export function Bars({ bars, of, label }: { bars: readonly Bar[]; of?: number; label: string }) {
  const total = bars.reduce((sum, { value }) => sum + value, 0);
  const longest = of ?? Math.max(...bars.map(({ value }) => value), 0);
  return (
    <table class="bars" aria-label={label}>
      <tbody>
        {bars.map(({ name, value, text, isMain }) => (
          <tr key={name} class={isMain ? 'main' : ''}>
            <th scope="row">{name}</th>
            <td class="bar-cell">
              <span class="bar" style={{ width: `${longest > 0 ? (100 * value) / longest : 0}%` }} />
            </td>
            <td class="number">{text ?? `${count(value)} (${percent(total > 0 ? value / total : 0)})`}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
