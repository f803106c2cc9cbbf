import type { RunReport } from './session-pool.ts';

/** Weight of the newest run in the running mean of seconds per row. */
const SMOOTHING = 0.1;

/** Counters of the serving engine since start. */
export class ServeMetrics {
  requests = 0;
  refused = 0;
  rows = 0;
  tokens = 0;
  runs = 0;
  runSeconds = 0;
  adaptersLoaded = 0;
  adaptersDropped = 0;
  loadSeconds = 0;
  /** Seconds that a row has taken of late, for `Retry-After`. */
  secondsPerRow = 0.01;

  ran({ rows, tokens, runs, milliseconds }: RunReport): void {
    this.rows += rows;
    this.tokens += tokens;
    this.runs += runs;
    this.runSeconds += milliseconds / 1000;
    this.secondsPerRow += SMOOTHING * (milliseconds / 1000 / rows - this.secondsPerRow);
  }

  loaded(milliseconds: number): void {
    this.adaptersLoaded++;
    this.loadSeconds += milliseconds / 1000;
  }
}

export interface Gauges {
  queue: number;
  resident: number;
  sessions: number;
  training: number;
  cacheBytes: number;
}

/** Prometheus' text format, version 0.0.4. */
export function prometheusText(metrics: ServeMetrics, gauges: Gauges): string {
  const line = (name: string, type: 'counter' | 'gauge', help: string, value: number) =>
    `# HELP weft_${name} ${help}\n# TYPE weft_${name} ${type}\nweft_${name} ${value}\n`;
  return [
    line('classify_requests_total', 'counter', 'Classification requests.', metrics.requests),
    line(
      'classify_refused_total',
      'counter',
      'Requests refused because the queue was full.',
      metrics.refused,
    ),
    line('classify_rows_total', 'counter', 'Texts classified.', metrics.rows),
    line('classify_tokens_total', 'counter', 'Tokens classified, padding not counted.', metrics.tokens),
    line('runs_total', 'counter', 'Runs of a serving session.', metrics.runs),
    line('run_seconds_total', 'counter', 'Seconds spent in runs.', metrics.runSeconds),
    line('adapters_loaded_total', 'counter', 'Adapters loaded into memory.', metrics.adaptersLoaded),
    line('adapters_dropped_total', 'counter', 'Adapters dropped from memory.', metrics.adaptersDropped),
    line('adapter_load_seconds_total', 'counter', 'Seconds spent loading adapters.', metrics.loadSeconds),
    line('queue_rows', 'gauge', 'Texts waiting for an answer.', gauges.queue),
    line('adapters_resident', 'gauge', 'Adapters in memory.', gauges.resident),
    line('sessions', 'gauge', 'Serving sessions, one per set of target layers.', gauges.sessions),
    line('training_jobs', 'gauge', 'Training jobs under way.', gauges.training),
    line('adapter_cache_bytes', 'gauge', 'Bytes of adapters kept on disk.', gauges.cacheBytes),
  ].join('');
}
