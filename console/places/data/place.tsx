import { place } from '../../store/session.ts';
import { DataList } from './data-list.tsx';
import { FilePage } from './file-page.tsx';

export function DataPlace() {
  const { id } = place.value;
  return id === undefined ? <DataList /> : <FilePage key={id} id={id} />;
}
