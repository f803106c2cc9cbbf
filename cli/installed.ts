/** The `weft` command as it is packed for machines without a clone. */
import { main } from './process.ts';

await main(undefined);
