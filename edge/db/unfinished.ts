import { sql } from 'drizzle-orm';
import { UNFINISHED } from '../../shared/job-state.ts';

/** The states of jobs that have not ended, as the members of an SQL `IN`. */
export const unfinished = sql.raw(UNFINISHED.map((status) => `'${status}'`).join(', '));
