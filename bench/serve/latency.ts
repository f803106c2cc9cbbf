/** Figures on latencies through the node daemon: of adapters that are not in memory, and of one client beside others. */
import { utimes } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { median, quantile } from '../statistics.ts';
import type { WrittenAdapter } from './adapters.ts';
import { type Bench, freshAdapters } from './bench.ts';
import { Daemon } from './daemon.ts';
import type { Measured } from './figure.ts';
import { type Load, LoadProcess } from './load.ts';
import { requestBody } from './throughput.ts';

const SHAPE = { precision: 'int8' } as const;
/** Uncounted warm answers at the start, during which the session is built. */
const WARMUP = 50;
/** Cold adapters that one turn asks to be warmed, in requests of as many as are allowed. */
const COLD = 200;
const WARMED_TOGETHER = 100;
/** Milliseconds between two checks of a turn whether they are loaded. */
const LOOK_MS = 20;
/** Texts that the flood sends in one turn. */
const FLOOD = { count: 1024, connections: 64 };
/** Most turns beside others: each gives a hundred samples of the steady client. */
const MOST_TURNS = 5;

/** Measures the first answer of an adapter on disk, less a warm answer to such a text; in milliseconds. */
export async function coldAboveWarm(bench: Bench): Promise<Measured> {
  const pairs = 10 * bench.rounds;
  const [warm, ...cold] = await freshAdapters(bench, 1 + pairs, SHAPE);
  await using stack = new AsyncDisposableStack();
  const { url, token } = stack.use(await Daemon.start(bench));
  const load = stack.use(await LoadProcess.start());
  const ask = (adapters: readonly WrittenAdapter[]) =>
    load.run({ url, token, bodies: bodiesFor(bench, adapters), connections: 1 });
  await ask(Array.from({ length: WARMUP }, () => warm!));
  const { latencies } = await ask(cold.flatMap((adapter) => [warm!, adapter]));
  const ofEvery = (odd: number) => median(latencies.filter((_, i) => i % 2 === odd));
  const [warmMs, coldMs] = [ofEvery(0), ofEvery(1)];
  const detail = `cold ${coldMs.toFixed(2)} ms, warm ${warmMs.toFixed(2)} ms, medians of ${pairs} in turn`;
  return { value: coldMs - warmMs, detail: [detail] };
}

/** Measures the 99th percentile of a steady client's hot adapter while 200 others are loaded, as a multiple of the same in calm. */
export async function hotBesideCold(bench: Bench): Promise<Measured> {
  const turns = Math.min(bench.rounds, MOST_TURNS);
  const [hot, ...cold] = await freshAdapters(bench, 1 + COLD * turns, SHAPE);
  // A daemon loads the adapters used last when it starts; this one is made the last, so that no cold one is loaded.
  const later = new Date(Date.now() + 60_000);
  await utimes(hot!.folder, later, later);
  await using client = await SteadyClient.start(bench, hot!, 10);
  const times: number[] = [];
  for (let turn = 0; turn < turns; turn++) {
    const bundles = cold.slice(COLD * turn, COLD * (turn + 1)).map(({ bundle }) => bundle);
    await client.turn(2 * COLD, async (daemon) => {
      const start = performance.now();
      const loads = (await daemon.loads()) + COLD;
      for (let at = 0; at < COLD; at += WARMED_TOGETHER) {
        await daemon.warm(bundles.slice(at, at + WARMED_TOGETHER));
      }
      while ((await daemon.loads()) < loads) await sleep(LOOK_MS);
      times.push(performance.now() - start);
    });
  }
  return client.measured(`${COLD} cold adapters load within ${median(times).toFixed(0)} ms`);
}

/** Measures the same for a tenant that sends a text now and then while another sends as fast as it is answered. */
export async function quietBesideFlood(bench: Bench): Promise<Measured> {
  const [quiet, flooding] = await freshAdapters(bench, 2, SHAPE);
  await using client = await SteadyClient.start(bench, quiet!, 25);
  const { count, connections } = FLOOD;
  await using others = await LoadProcess.start();
  const flood = Array.from({ length: count }, () => flooding!);
  const rates: number[] = [];
  for (let turn = 0; turn < Math.min(bench.rounds, MOST_TURNS); turn++) {
    const bodies = bodiesFor(bench, flood, 'flood');
    await client.turn(count, async ({ url, token }) => {
      const { ms } = await others.run({ url, token, bodies, connections });
      rates.push((1000 * count) / ms);
    });
  }
  return client.measured(`another tenant floods, with ${median(rates).toFixed(0)} requests/s`);
}

/** Bodies of requests: one text to each adapter. */
function bodiesFor({ texts }: Bench, adapters: readonly WrittenAdapter[], tenant?: string): string[] {
  const taken = texts.take(adapters.length);
  return adapters.map((adapter, i) => requestBody(adapter, taken[i]!, tenant));
}

/** A client of one adapter on a daemon of its own, in turn alone and beside other requests. */
class SteadyClient implements AsyncDisposable {
  readonly #bench: Bench;
  readonly #adapter: WrittenAdapter;
  readonly #everyMs: number;
  readonly #stack = new AsyncDisposableStack();
  readonly #latencies: Record<'calm' | 'beside', number[]> = { calm: [], beside: [] };
  #daemon!: Daemon;
  #load!: LoadProcess;

  private constructor(bench: Bench, adapter: WrittenAdapter, everyMs: number) {
    this.#bench = bench;
    this.#adapter = adapter;
    this.#everyMs = everyMs;
  }

  /** Starts a client that sends a text every `everyMs` milliseconds. */
  static async start(bench: Bench, adapter: WrittenAdapter, everyMs: number): Promise<SteadyClient> {
    const client = new SteadyClient(bench, adapter, everyMs);
    client.#daemon = client.#stack.use(await Daemon.start(bench));
    client.#load = client.#stack.use(await LoadProcess.start());
    await client.#load.run(client.#texts(WARMUP));
    return client;
  }

  /** Sends at most `most` texts while the others are at work, then as many in calm. */
  async turn(most: number, others: (daemon: Daemon) => Promise<void>): Promise<void> {
    const beside = this.#load.begin(this.#texts(most));
    await others(this.#daemon);
    const { latencies } = await beside.end();
    const calm = await this.#load.run(this.#texts(latencies.length));
    this.#latencies.beside.push(...latencies);
    this.#latencies.calm.push(...calm.latencies);
  }

  measured(what: string): Measured {
    const { calm, beside } = this.#latencies;
    const p99 = (latencies: readonly number[]) => quantile(latencies, 0.99);
    const show = (latencies: readonly number[]) =>
      `p50 ${median(latencies).toFixed(2)} ms, p99 ${p99(latencies).toFixed(2)} ms of ${latencies.length}`;
    return { value: p99(beside) / p99(calm), detail: [`${what}: ${show(beside)}`, `in calm: ${show(calm)}`] };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }

  #texts(count: number): Load {
    const adapters = Array.from({ length: count }, () => this.#adapter);
    const { url, token } = this.#daemon;
    return { url, token, bodies: bodiesFor(this.#bench, adapters), connections: 4, everyMs: this.#everyMs };
  }
}
