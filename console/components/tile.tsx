import type { ComponentChildren } from 'preact';

/** One figure with what it is, and beside it what it was before. */
export function Tile({
  name,
  value,
  note,
}: {
  name: string;
  value: ComponentChildren;
  note?: ComponentChildren;
}) {
  return (
    <div class="tile">
      <dt>{name}</dt>
      <dd>
        {value}
        {note !== undefined && <span class="tile-note">{note}</span>}
      </dd>
    </div>
  );
}
