import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';

interface WindowedProps {
  label: string;
  /** Number of rows, and the height of each in pixels. */
  count: number;
  rowHeight: number;
  columns: readonly string[];
  /** The cells of a row. */
  row: (index: number) => ComponentChildren[];
}

/** Rows above and below those in sight that are there already. */
const AROUND = 8;

/** A table of which only what is in sight exists, so that 100,000 rows scroll like ten. */
export function Windowed({ label, count, rowHeight, columns, row }: WindowedProps) {
  const box = useRef<HTMLElement>(null);
  const [top, setTop] = useState(0);
  const [height, setHeight] = useState(480);
  useEffect(() => {
    const resized = new ResizeObserver(() => setHeight(box.current?.clientHeight ?? 480));
    resized.observe(box.current!);
    return () => resized.disconnect();
  }, []);
  const first = Math.max(0, Math.min(Math.floor(top / rowHeight), count - 1) - AROUND);
  const last = Math.min(count, Math.ceil((top + height) / rowHeight) + AROUND);
  const indices = Array.from({ length: Math.max(0, last - first) }, (_, i) => first + i);
  return (
    <section
      class="windowed"
      ref={box}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard
      tabIndex={0}
      aria-label={label}
      onScroll={(event) => setTop(event.currentTarget.scrollTop)}
    >
      <table aria-rowcount={count + 1}>
        <thead>
          <tr aria-rowindex={1}>
            {columns.map((column) => (
              <th key={column} scope="col">
                {column}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {first > 0 && (
            <tr>
              <td colSpan={columns.length} class="gap" style={{ height: `${first * rowHeight}px` }} />
            </tr>
          )}
          {indices.map((index) => (
            <tr key={index} aria-rowindex={index + 2} style={{ height: `${rowHeight}px` }}>
              {row(index)}
            </tr>
          ))}
          {last < count && (
            <tr>
              <td
                colSpan={columns.length}
                class="gap"
                style={{ height: `${(count - last) * rowHeight}px` }}
              />
            </tr>
          )}
        </tbody>
      </table>
    </section>
  );
}
