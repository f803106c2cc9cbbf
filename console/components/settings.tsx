import type { Adapter } from '../api/types.ts';

/** How an adapter is trained: every setting, what "auto" came to once an attempt has decided it. */
export function Settings({ adapter }: { adapter: Adapter }) {
  const pairs = [
    ['base model', adapter.base_model],
    ...Object.entries(adapter.method),
    ...Object.entries(adapter.hyperparameters ?? {}),
    ['seed', adapter.seed],
    ...Object.entries(adapter.metadata).map(([name, value]) => [`metadata ${name}`, value]),
  ] as [string, unknown][];
  return (
    <section class="card" aria-labelledby="settings">
      <h2 id="settings">Settings</h2>
      <dl class="pairs settings">
        {pairs.map(([name, value]) => (
          <div class="pair" key={name}>
            <dt>{name.replaceAll('_', ' ')}</dt>
            <dd>{typeof value === 'object' ? JSON.stringify(value) : String(value)}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}
