import { setTimeout as sleep } from 'node:timers/promises';
import { Random } from '../../gpu-node/random.ts';
import type { ClassifyResponse } from '../../shared/api/inference.ts';
import type { Catalogue } from './catalogue.ts';
import type { Oracle } from './oracle.ts';

export interface LoadOptions {
  url: string;
  key: string;
  catalogue: Catalogue;
  oracle: Oracle;
  /** Requests under way at once. */
  connections: number;
  seed?: number;
  /** Most texts of a request. */
  maxRows?: number;
  /** What a client waits, `X-Timeout-Ms`. */
  timeoutMs?: number;
  /** The names asked for; all of the catalogue where not given. */
  names?: () => readonly string[];
  /** Told of each request that failed, as counted in `failed`. */
  onFailure?: (problem: string) => void;
  /** Most milliseconds that a connection waits between two requests. */
  pauseMs?: number;
}

interface Row {
  model: string;
  text: string;
}

/** As many texts, of all lengths, so that an oracle need not run each request's anew. */
const TEXTS = 24;
const WORDS = ['fox', 'dog', 'jumps', 'runs', 'forest', 'lazy', 'money', 'profit', 'shares', 'company'];
/** Runs of other batch sizes round differently. */
const TOLERANCE = 1e-4;
/** Before another try at an edge that is not there. */
const PAUSE_MS = 50;

/** Sends mixed requests until it is stopped, and checks every answer against what the adapter answers. */
export class Load {
  /** Requests whose answers have been found right. */
  right = 0;
  /** Answers that should not have been, in words. */
  readonly wrong: string[] = [];
  /** Requests that failed, by the code of their problem; `unreachable` without an answer. */
  readonly failed: Record<string, number> = {};
  readonly #options: LoadOptions;
  readonly #random: Random;
  readonly #texts: string[];
  readonly #workers: Promise<void>[];
  /** Answers that are being checked, which may have to wait for a change to end. */
  readonly #checks = new Set<Promise<void>>();
  #stopped = false;
  #answered = Promise.withResolvers<void>();

  constructor(options: LoadOptions) {
    this.#options = options;
    this.#random = new Random(options.seed ?? 1, 'load');
    this.#texts = Array.from({ length: TEXTS }, (_, i) => {
      const words = Array.from({ length: 1 + 2 * i }, () => WORDS[this.#random.below(WORDS.length)]!);
      return words.join(' ');
    });
    this.#workers = Array.from({ length: options.connections }, () => this.#work());
  }

  /** Requests that failed. */
  get failures(): number {
    return Object.values(this.failed).reduce((sum, count) => sum + count, 0);
  }

  /** Resolves when as many more requests have been answered right. @throws as soon as an answer is wrong */
  async more(count: number): Promise<void> {
    const goal = this.right + count;
    while (this.right < goal && this.wrong.length === 0) await this.#answered.promise;
    if (this.wrong.length > 0) throw new Error(this.wrong.join('\n'));
  }

  /** Waits for what is under way; gives what was not right. */
  async stop(): Promise<{ wrong: string[]; failed: Record<string, number> }> {
    this.#stopped = true;
    await Promise.all(this.#workers);
    await Promise.all(this.#checks);
    const { wrong, failed } = this;
    return { wrong, failed };
  }

  async #work(): Promise<void> {
    const { onFailure, pauseMs = 0 } = this.#options;
    while (!this.#stopped) {
      const problem = await this.#ask(this.#draw());
      if (problem !== undefined) {
        this.failed[problem] = (this.failed[problem] ?? 0) + 1;
        onFailure?.(problem);
      }
      if (problem === 'unreachable') await sleep(PAUSE_MS);
      if (pauseMs > 0) await sleep(this.#random.below(pauseMs));
    }
  }

  /** Finds out what is wrong with an answer, beside the requests that follow. */
  #judge(faults: Promise<string[]>): void {
    const check = faults
      .catch((error) => [`an answer could not be checked: ${error}`])
      .then((wrong) => {
        this.wrong.push(...wrong);
        if (wrong.length === 0) this.right++;
        this.#checks.delete(check);
        this.#answered.resolve();
        this.#answered = Promise.withResolvers();
      });
    this.#checks.add(check);
  }

  #draw(): Row[] {
    const { names, catalogue, maxRows = 4 } = this.#options;
    const from = names?.() ?? catalogue.names;
    const pick = <T>(list: readonly T[]) => list[this.#random.below(list.length)]!;
    return Array.from({ length: 1 + this.#random.below(maxRows) }, () => ({
      model: pick(from),
      text: pick(this.#texts),
    }));
  }

  /** Gives the code of the problem where there is one; what was answered is judged later. */
  async #ask(input: Row[]): Promise<string | undefined> {
    const { url, key, timeoutMs } = this.#options;
    const from = performance.now();
    let status: number;
    let body: unknown;
    try {
      const response = await fetch(`${url}/v1/classify`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${key}`,
          'content-type': 'application/json',
          ...(timeoutMs && { 'x-timeout-ms': String(timeoutMs) }),
        },
        body: JSON.stringify({ input }),
      });
      status = response.status;
      body = await response.json();
    } catch {
      return 'unreachable';
    }
    const to = performance.now();
    if (status === 200) {
      this.#judge(this.#faultsOf(input, body as ClassifyResponse, from, to));
      return undefined;
    }
    const { code, param } = (body as { error: { code: string; param: string | null } }).error;
    if (code !== 'adapter_not_found' && code !== 'adapter_not_ready') return code;
    const { model } = input[Number(/^input\.(\d+)\./.exec(param ?? '')?.[1] ?? 0)]!;
    const may = this.#options.catalogue.during(model, from, to);
    // That there is none, or none yet, is an answer too.
    this.#judge(
      may.then((versions) =>
        versions.includes(undefined) ? [] : [`${model} was not found, but it is there`],
      ),
    );
    return undefined;
  }

  async #faultsOf(input: Row[], { data }: ClassifyResponse, from: number, to: number): Promise<string[]> {
    const { catalogue, oracle } = this.#options;
    const faults: string[] = [];
    const answeredBy = new Map<string, string>();
    for (const [i, { model, text }] of input.entries()) {
      const { model: ref, scores } = data[i]!;
      if ((answeredBy.get(model) ?? ref) !== ref) faults.push(`${model} was answered by two versions`);
      answeredBy.set(model, ref);
      const versions = (await catalogue.during(model, from, to)).filter((version) => version?.ref === ref);
      const expected = await Promise.all(versions.map((version) => oracle.scores(version!.seed, text)));
      const given = Object.values(scores);
      const isNear = (list: number[]) =>
        list.length === given.length && list.every((s, k) => Math.abs(s - given[k]!) < TOLERANCE);
      if (versions.length === 0) faults.push(`${model} was answered by ${ref}, which it did not stand for`);
      else if (!expected.some(isNear)) {
        faults.push(`${ref}: ${JSON.stringify(text)} scores ${given}, not ${expected.join(' or ')}`);
      }
    }
    return faults;
  }
}
