import type { FunctionComponent } from 'preact';
import type { PlaceName } from './addresses.ts';
import { Empty } from './components/empty.tsx';
import { Header } from './components/header.tsx';
import { KeyPrompt } from './components/key-prompt.tsx';
import { Link } from './components/link.tsx';
import { Page } from './components/page.tsx';
import { AdapterPlace } from './places/adapter/place.tsx';
import { ComparePlace } from './places/compare/place.tsx';
import { DataPlace } from './places/data/place.tsx';
import { FleetPlace } from './places/fleet/place.tsx';
import { PlaygroundPlace } from './places/playground/place.tsx';
import { TrainingPlace } from './places/training/place.tsx';
import { key, place } from './store/session.ts';

const PLACE: Record<PlaceName, FunctionComponent> = {
  data: DataPlace,
  training: TrainingPlace,
  adapters: AdapterPlace,
  compare: ComparePlace,
  playground: PlaygroundPlace,
  fleet: FleetPlace,
};

export function App() {
  const { name } = place.value;
  const Place = name === 'unknown' ? Unknown : PLACE[name];
  return (
    <>
      <Header />
      <main id="place">{key.value === null ? <KeyPrompt /> : <Place />}</main>
    </>
  );
}

function Unknown() {
  return (
    <Page title="Nothing here">
      <Empty title="This address leads nowhere.">
        <Link to="/console/">To the adapters</Link>
      </Empty>
    </Page>
  );
}
