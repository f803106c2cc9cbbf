import { addressOf } from '../../addresses.ts';
import { dataset, datasets } from '../../api/requests.ts';
import type { Dataset } from '../../api/types.ts';
import { Bars } from '../../components/bars.tsx';
import { Confirm } from '../../components/confirm.tsx';
import { Link } from '../../components/link.tsx';
import { Page } from '../../components/page.tsx';
import { Shown } from '../../components/shown.tsx';
import { Tile } from '../../components/tile.tsx';
import { bytes, count, time } from '../../format.ts';
import { call, refresh, useKnown } from '../../store/known.ts';
import { go } from '../../store/session.ts';
import { FileRows } from './file-rows.tsx';

export function FilePage({ id }: { id: string }) {
  const known = useKnown(dataset(id));
  return (
    <Page title={known.value?.filename ?? id} aside={known.value && <FileActions file={known.value} />}>
      <Shown known={known} retry={() => refresh(dataset(id))}>
        {(file) => (
          <>
            <Figures file={file} />
            <Warnings file={file} />
            <section class="card" aria-labelledby="labels">
              <h2 id="labels">Labels</h2>
              <Bars label="Rows of each label" bars={labelBars(file)} />
            </section>
            <FileRows file={file} />
          </>
        )}
      </Shown>
    </Page>
  );
}

function FileActions({ file: { id, filename } }: { file: Dataset }) {
  const remove = async () => {
    await call(`/v1/files/${encodeURIComponent(id)}`, { method: 'DELETE' });
    await refresh(datasets());
    go(addressOf('data'));
  };
  return (
    <>
      <Link class="button main" to={addressOf('training', 'new', { file: id })}>
        Train on it
      </Link>
      <Confirm label="Delete" title={`Delete ${filename}?`} act={remove}>
        <p>Adapters that were trained on it stay.</p>
      </Confirm>
    </>
  );
}

function Figures({ file }: { file: Dataset }) {
  const counts = Object.values(file.labels);
  const balance = Math.max(...counts) / Math.max(1, Math.min(...counts));
  return (
    <dl class="tiles">
      <Tile name="Rows" value={count(file.examples)} />
      <Tile name="Labels" value={count(counts.length)} />
      <Tile name="Largest to smallest" value={`${balance.toFixed(1)} : 1`} />
      <Tile name="Size" value={bytes(file.bytes)} />
      <Tile name="Left out" value={count(file.skipped.count)} note={linesNote(file)} />
      <Tile name="Uploaded" value={time(file.created_at).split(',')[0]!} note={file.id} />
    </dl>
  );
}

function linesNote({ skipped: { count: skipped, lines } }: Dataset): string {
  if (skipped === 0) return 'invalid rows';
  return `lines ${lines.join(', ')}${skipped > lines.length ? ', …' : ''}`;
}

function Warnings({ file: { warnings } }: { file: Dataset }) {
  if (warnings.length === 0) return null;
  return (
    <section class="card" aria-labelledby="warnings">
      <h2 id="warnings">Worth a look</h2>
      <ul class="warnings">
        {warnings.map((warning) => (
          <li key={warning}>{warning}</li>
        ))}
      </ul>
    </section>
  );
}

function labelBars({ labels }: Dataset) {
  const bars = Object.entries(labels).map(([name, value]) => ({ name, value }));
  return bars.sort((a, b) => b.value - a.value);
}
