import { Chart } from '../../components/chart.tsx';
import { Heads } from '../../components/heads.tsx';
import { Scroll } from '../../components/scroll.tsx';
import type { Epoch } from '../../figures/epochs.ts';
import { score } from '../../format.ts';

/** Loss and F1 by epoch, drawn and as a table; the epoch that was kept is marked in both. */
export function EpochCurves({ epochs, isOver }: { epochs: readonly Epoch[]; isOver: boolean }) {
  return (
    <section class="card" aria-labelledby="epochs">
      <h2 id="epochs">Loss and F1 by epoch</h2>
      {epochs.length === 0 ? (
        <p class="muted">{isOver ? 'No epoch was finished.' : 'The first epoch has not ended yet.'}</p>
      ) : (
        <>
          {epochs.length > 1 && <Curves epochs={epochs} />}
          <Scroll>
            <table>
              <Heads
                columns={[
                  'Epoch',
                  ['Training loss', 'number'],
                  ['Validation loss', 'number'],
                  ['F1', 'number'],
                ]}
              />
              <tbody>
                {epochs.map((epoch) => (
                  <tr key={epoch.epoch} class={epoch.isKept ? 'kept' : ''}>
                    <th scope="row">
                      {epoch.epoch}
                      {epoch.isKept && ' (kept)'}
                    </th>
                    <td class="number">{score(epoch.trainLoss)}</td>
                    <td class="number">{score(epoch.validLoss)}</td>
                    <td class="number">{score(epoch.f1)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </Scroll>
        </>
      )}
    </section>
  );
}

function Curves({ epochs }: { epochs: readonly Epoch[] }) {
  const kept = epochs.find(({ isKept }) => isKept);
  return (
    <Chart
      label="Loss and F1 by epoch; the table below has the numbers"
      x={epochs.map(({ epoch }) => epoch)}
      series={[
        { name: 'training loss', values: epochs.map(({ trainLoss }) => trainLoss), axis: 'left' },
        { name: 'validation loss', values: epochs.map(({ validLoss }) => validLoss), axis: 'left' },
        { name: 'F1', values: epochs.map(({ f1 }) => f1), axis: 'right' },
      ]}
      {...(kept && { marked: kept.epoch })}
    />
  );
}
