import { place } from '../../store/session.ts';
import { AdapterList } from './adapter-list.tsx';
import { AdapterPage } from './adapter-page.tsx';

export function AdapterPlace() {
  const { id } = place.value;
  return id === undefined ? <AdapterList /> : <AdapterPage key={id} id={id} />;
}
