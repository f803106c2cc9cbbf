import { addressOf } from '../../addresses.ts';
import type { Adapter } from '../../api/types.ts';
import { Link } from '../../components/link.tsx';
import { Scroll } from '../../components/scroll.tsx';
import { bytes, score } from '../../format.ts';

type Of = (adapter: Adapter) => string;

const FIGURES: readonly (readonly [string, Of])[] = [
  ['F1', ({ metrics }) => score(metrics?.validation.f1)],
  ['Accuracy', ({ metrics }) => score(metrics?.validation.accuracy)],
  ['Calibration error', ({ metrics }) => score(metrics?.validation.ece)],
  ['Validation rows', ({ metrics }) => String(metrics?.validation.examples ?? '–')],
  ['Size', ({ size_bytes }) => bytes(size_bytes)],
];

/** The adapters' figures, and those of their settings that differ. */
export function Differences({ adapters }: { adapters: readonly Adapter[] }) {
  const settings = adapters.map(settingsOf);
  const names = [...new Set(settings.flatMap((one) => Object.keys(one)))];
  const differing = names.filter((name) => new Set(settings.map((one) => one[name])).size > 1);
  return (
    <section class="card" aria-labelledby="differences">
      <h2 id="differences">Figures, and settings that differ</h2>
      <Scroll>
        <table>
          <thead>
            <tr>
              <td />
              {adapters.map(({ id }) => (
                <th key={id} scope="col">
                  <Link to={addressOf('adapters', id)}>{id}</Link>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {FIGURES.map(([name, of]) => (
              <tr key={name}>
                <th scope="row">{name}</th>
                {adapters.map((adapter) => (
                  <td key={adapter.id}>{of(adapter)}</td>
                ))}
              </tr>
            ))}
            {differing.map((name) => (
              <tr key={name}>
                <th scope="row">{name.replaceAll('_', ' ')}</th>
                {settings.map((one, i) => (
                  <td key={adapters[i]!.id}>{one[name] ?? '–'}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
      {differing.length === 0 && <p class="muted">No setting differs.</p>}
    </section>
  );
}

function settingsOf({ base_model, method, hyperparameters, seed, labels }: Adapter): Record<string, string> {
  const all = { base_model, ...method, ...hyperparameters, seed, labels: labels?.join(', ') };
  const entries = Object.entries(all).filter(([, value]) => value !== undefined && value !== null);
  return Object.fromEntries(
    entries.map(([name, value]) => [name, typeof value === 'object' ? JSON.stringify(value) : String(value)]),
  );
}
