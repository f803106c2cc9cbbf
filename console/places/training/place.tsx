import { place } from '../../store/session.ts';
import { JobList } from './job-list.tsx';
import { JobPage } from './job-page.tsx';
import { TrainingForm } from './training-form.tsx';

export function TrainingPlace() {
  const { id } = place.value;
  if (id === undefined) return <JobList />;
  return id === 'new' ? <TrainingForm /> : <JobPage key={id} id={id} />;
}
