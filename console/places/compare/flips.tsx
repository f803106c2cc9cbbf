import { Windowed } from '../../components/windowed.tsx';
import { flipsOf, type JudgedRow } from '../../figures/judge.ts';
import { count } from '../../format.ts';

interface FlipsProps {
  ids: readonly [string, string];
  before: readonly JudgedRow[];
  after: readonly JudgedRow[];
}

/** The texts that two adapters classify differently, and whether that is more than chance. */
export function Flips({ ids, before, after }: FlipsProps) {
  const { flips, gained, lost, p } = flipsOf(before, after);
  return (
    <>
      <h3>
        {count(flips.length)} texts flip from {ids[0]} to {ids[1]}
      </h3>
      <p class="muted">
        {count(gained)} become right, {count(lost)} become wrong; McNemar's exact test: p{' '}
        {p < 0.001 ? '< 0.001' : `= ${p.toFixed(3)}`}
      </p>
      {flips.length > 0 && (
        <Windowed
          label={`Texts that flip from ${ids[0]} to ${ids[1]}`}
          count={flips.length}
          rowHeight={36}
          columns={['Text', 'Label', ids[0], ids[1]]}
          row={(index) => {
            const { before: one, after: other, gained: isGain, lost: isLoss } = flips[index]!;
            return [
              <td key="text" title={one.text}>
                {one.text}
              </td>,
              <td key="label">{one.truth}</td>,
              <td key="before" class={isLoss ? 'good' : 'bad'}>
                {one.label}
              </td>,
              <td key="after" class={isGain ? 'good' : 'bad'}>
                {other.label}
              </td>,
            ];
          }}
        />
      )}
    </>
  );
}
