import { addressOf, type PlaceName } from '../addresses.ts';
import { adapters } from '../api/requests.ts';
import { score } from '../format.ts';
import { refresh, useKnown } from '../store/known.ts';
import { go, place } from '../store/session.ts';
import { Empty } from './empty.tsx';
import { Link } from './link.tsx';
import { Shown } from './shown.tsx';

/** The adapters that the address of a place names. */
export function chosenAdapters(): string[] {
  return (place.value.query.get('adapters') ?? '').split(',').filter((id) => id !== '');
}

/** Chooses adapters, which the address keeps. */
export function AdapterChoice({ of }: { of: PlaceName }) {
  const known = useKnown(adapters());
  const chosen = chosenAdapters();
  const choose = (ids: readonly string[]) => {
    const rest = Object.fromEntries(place.value.query);
    go(addressOf(of, undefined, { ...rest, adapters: ids.join(',') }), { replace: true });
  };
  return (
    <Shown known={known} retry={() => refresh(adapters())}>
      {({ data }) => {
        const ready = data.filter(({ status }) => status === 'ready');
        if (ready.length === 0) {
          return (
            <Empty title="No adapter is ready yet.">
              <Link class="button" to={addressOf('training', 'new')}>
                Train one
              </Link>
            </Empty>
          );
        }
        return (
          <fieldset class="adapter-choice">
            <legend>Adapters</legend>
            <div class="choices">
              {ready.map(({ id, metrics }) => (
                <label key={id} class="inline">
                  <input
                    type="checkbox"
                    checked={chosen.includes(id)}
                    onChange={(event) =>
                      choose(
                        event.currentTarget.checked ? [...chosen, id] : chosen.filter((one) => one !== id),
                      )
                    }
                  />
                  {id} {metrics && <span class="muted small">F1 {score(metrics.validation.f1)}</span>}
                </label>
              ))}
            </div>
          </fieldset>
        );
      }}
    </Shown>
  );
}
