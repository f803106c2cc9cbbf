/** Figures on requests a second through whole servers, with one text a request. */
import { Random } from '../../gpu-node/random.ts';
import { installTransformersJs } from '../peers/install.ts';
import { median, quartiles } from '../statistics.ts';
import type { WrittenAdapter } from './adapters.ts';
import { fastestOf, setupFor } from './batches.ts';
import { type Bench, freshAdapters } from './bench.ts';
import { Daemon, LITTLE_MEMORY, type Served } from './daemon.ts';
import type { Measured } from './figure.ts';
import { LoadProcess } from './load.ts';
import { PeerServer } from './peer-server.ts';
import type { TaskText } from './texts.ts';

const CONNECTIONS = 64;
/** Tokens at which the texts are cut by which a peer's precision is chosen. */
const TEXT_TOKENS = 64;
/** Requests of one side's turn. */
const TURN = 256;
/** Uncounted turns at the start, in which sessions are built and adapters loaded. */
const WARMUP = 1;

/** Sends texts of all tasks, with an adapter each; measures requests a second as a multiple of the PEFT server's. */
export async function againstPeftServer(bench: Bench): Promise<Measured> {
  return againstServers(bench, 'peft', bench.texts.tasks);
}

/** Measures the same on one adapter, against a transformers.js server. */
export async function againstTransformersJsServer(bench: Bench): Promise<Measured> {
  return againstServers(bench, 'transformers.js', 1);
}

/** The peer holds its model in the precision in which its batches are fastest. */
async function againstServers(
  bench: Bench,
  kind: Parameters<typeof PeerServer.start>[0],
  tasks: number,
): Promise<Measured> {
  const adapters = await freshAdapters(bench, tasks, { precision: 'int8' });
  const model = kind === 'transformers.js' ? await installTransformersJs(bench, adapters[0]!) : undefined;
  const setup = { ...setupFor(bench, adapters), ...(model && { model }) };
  const precision = await fastestOf(bench, kind, setup, TEXT_TOKENS);
  await using stack = new AsyncDisposableStack();
  const ours = new Side('weft int8', stack.use(await Daemon.start(bench)));
  const server = stack.use(await PeerServer.start(kind, precision, bench, adapters));
  const peer = new Side(server.name, server);
  const load = stack.use(await LoadProcess.start());
  const ofTask = ({ task }: TaskText) => adapters[task % adapters.length]!;
  for (let round = 0; round < bench.rounds + WARMUP; round++) {
    const texts = bench.texts.take(TURN);
    const sides = [ours, peer];
    for (const side of round % 2 ? sides : sides.toReversed()) {
      await side.turn(
        load,
        texts.map((text) => requestBody(ofTask(text), text)),
        round,
      );
    }
  }
  const ratios = ours.rates.map((rate, i) => rate / peer.rates[i]!);
  return { value: median(ratios), detail: [String(ours), String(peer), server.versions] };
}

/**
 * Compares a thousand adapters, asked for by Zipf's law, with five. The one daemon has loaded each once, the most popular last, and holds
 * about half of them.
 */
export async function manyAgainstFew(bench: Bench): Promise<Measured> {
  const adapters = await freshAdapters(bench, 1000, { precision: 'int8' });
  await using stack = new AsyncDisposableStack();
  const daemon = stack.use(await Daemon.start(bench, LITTLE_MEMORY));
  const load = stack.use(await LoadProcess.start());
  await askEachOnce(bench, daemon, load, adapters.toReversed());
  const many = new Side('1,000 adapters by Zipf', daemon);
  const few = new Side('5 adapters', daemon);
  const zipf = zipfDraws(adapters.length);
  for (let round = 0; round < bench.rounds + WARMUP; round++) {
    const turns = [
      () =>
        many.turn(
          load,
          bench.texts.take(TURN).map((text) => requestBody(adapters[zipf()]!, text)),
          round,
        ),
      () =>
        few.turn(
          load,
          bench.texts.take(TURN).map((text, i) => requestBody(adapters[i % 5]!, text)),
          round,
        ),
    ];
    for (const turn of round % 2 ? turns : turns.toReversed()) await turn();
  }
  return {
    value: median(many.rates.map((rate, i) => rate / few.rates[i]!)),
    detail: [String(many), String(few)],
  };
}

/** Loads the adapters in order, by one text to each. */
export async function askEachOnce(
  { texts }: Bench,
  { url, token }: Served,
  load: LoadProcess,
  adapters: readonly WrittenAdapter[],
): Promise<void> {
  const bodies = adapters.map((adapter) => requestBody(adapter, texts.take(1)[0]!));
  await load.run({ url, token, bodies, connections: CONNECTIONS });
}

/** A request of one text in the form in which the edge sends it for a tenant. */
export function requestBody(
  { bundle }: WrittenAdapter,
  { text }: Pick<TaskText, 'text'>,
  tenant = 'bench',
): string {
  return JSON.stringify({ rows: [{ bundle, text }], tenant });
}

/** A server, or one kind of requests to it, with its answers a second in each turn. */
class Side {
  readonly rates: number[] = [];
  readonly #name: string;
  readonly #served: Served;

  constructor(name: string, served: Served) {
    this.#name = name;
    this.#served = served;
  }

  async turn(load: LoadProcess, bodies: readonly string[], round: number): Promise<void> {
    const { url, token } = this.#served;
    const { ms } = await load.run({ url, token, bodies, connections: CONNECTIONS });
    if (round >= WARMUP) this.rates.push((1000 * bodies.length) / ms);
  }

  toString(): string {
    const [low, high] = quartiles(this.rates);
    return `${this.#name} ${median(this.rates).toFixed(0)} requests/s (${low.toFixed(0)}-${high.toFixed(0)})`;
  }
}

/** Draws of 0 to `count` - 1, k in proportion to 1 / (k + 1). */
function zipfDraws(count: number): () => number {
  const random = new Random(1, 'zipf');
  let total = 0;
  const upTo = Array.from({ length: count }, (_, k) => (total += 1 / (k + 1)));
  return () => {
    const drawn = random.uniform() * total;
    return upTo.findIndex((sum) => drawn < sum);
  };
}
