import type { BaseModel, Dataset } from '../../api/types.ts';
import type { Typed } from './training-request.ts';

interface Chosen {
  method: string;
  model: BaseModel | undefined;
  file: Dataset | undefined;
  typed: Typed;
}

/** What "auto" would come to for a field of the request, in words. */
export function autoOf(_path: string, _chosen: Chosen): string | undefined {
  return undefined;
}
