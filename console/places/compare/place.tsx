import { addressOf } from '../../addresses.ts';
import { adapter } from '../../api/requests.ts';
import type { Adapter } from '../../api/types.ts';
import { AdapterChoice, chosenAdapters } from '../../components/adapter-choice.tsx';
import { Empty } from '../../components/empty.tsx';
import { JudgeControls } from '../../components/judge-controls.tsx';
import { Page } from '../../components/page.tsx';
import { Shown } from '../../components/shown.tsx';
import { judgementOf } from '../../store/judgements.ts';
import { useKnown } from '../../store/known.ts';
import { go, place } from '../../store/session.ts';
import { Differences } from './differences.tsx';
import { Flips } from './flips.tsx';
import { LabelChanges } from './label-changes.tsx';
import { OverlaidCurves } from './overlaid-curves.tsx';

/** Adapters side by side: how they were trained, how that went, and what each makes of the same file. */
export function ComparePlace() {
  const chosen = chosenAdapters();
  return (
    <Page title="Compare">
      <div class="card">
        <AdapterChoice of="compare" />
      </div>
      {chosen.length < 2 ? (
        <Empty title="Choose two adapters or more." />
      ) : (
        <Loaded key={chosen.join()} ids={chosen} loaded={[]} />
      )}
    </Page>
  );
}

/** Loads one adapter after the other, because each is an answer of its own. */
function Loaded({ ids, loaded }: { ids: readonly string[]; loaded: readonly Adapter[] }) {
  const next = ids[loaded.length];
  const known = useKnown(next === undefined ? undefined : adapter(next));
  if (next === undefined) return <Comparison adapters={loaded} />;
  return (
    <Shown known={known}>{(value) => <Loaded key={value.id} ids={ids} loaded={[...loaded, value]} />}</Shown>
  );
}

function Comparison({ adapters }: { adapters: readonly Adapter[] }) {
  const fileId = place.value.query.get('file') ?? undefined;
  const ids = adapters.map(({ id }) => id);
  const judgements = fileId === undefined ? [] : ids.map((id) => judgementOf(id, fileId));
  return (
    <>
      <Differences adapters={adapters} />
      <OverlaidCurves adapters={adapters} />
      <section class="card" aria-labelledby="on-file">
        <h2 id="on-file">On the same file</h2>
        <JudgeControls
          models={ids}
          fileId={fileId}
          onFile={(file) =>
            go(addressOf('compare', undefined, { adapters: ids.join(','), file }), { replace: true })
          }
          judgements={judgements}
        />
        {judgements.length > 0 && judgements.every(({ rows }) => rows.length > 0) && (
          <>
            <LabelChanges ids={ids} judgements={judgements} />
            {ids.slice(1).map((id, i) => (
              <Flips
                key={id}
                ids={[ids[0]!, id]}
                before={judgements[0]!.rows}
                after={judgements[i + 1]!.rows}
              />
            ))}
          </>
        )}
      </section>
    </>
  );
}
