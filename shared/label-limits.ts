import { MAX_LABEL_CHARS, MAX_LABELS } from './api/rows.ts';

/*
 * How much the labels of an adapter make of everything that holds them, so that what a request may ask for can also be stored, sent and
 * shown once it is trained. All follows from how many labels there may be and how long they may be together.
 */

const KIB = 1024;

/** Bytes of all labels of an adapter together, as JSON: 1,000 of 256 ASCII characters fit, with their quotes and commas. */
export const MAX_LABELS_BYTES = MAX_LABELS * (MAX_LABEL_CHARS + 6);

/** A label's share of that. */
export function labelBytes(label: string): number {
  return new TextEncoder().encode(JSON.stringify(label)).byteLength + 1;
}

/** Whether labels are too long to be an adapter's. */
export function areTooLong(labels: readonly string[]): boolean {
  return labels.reduce((sum, label) => sum + labelBytes(label), 0) > MAX_LABELS_BYTES;
}

/** What a label's precision, recall, F1 and support take as JSON. */
const LABEL_METRICS_BYTES = 160;
/**
 * What a cell of the confusion matrix takes: a comma and at most three digits on average. A dataset has at most 22 million rows, and for a million
 * cells to have four digits each it would need a thousand million.
 */
const CELL_BYTES = 4;
const MAX_METRICS_BYTES =
  MAX_LABELS_BYTES + MAX_LABELS * LABEL_METRICS_BYTES + MAX_LABELS ** 2 * CELL_BYTES + KIB;

/** weft.json: the labels, the metrics, and the rest. */
export const MAX_WEFT_BYTES = MAX_LABELS_BYTES + MAX_METRICS_BYTES + 16 * KIB;

/** A confusion matrix as it is kept in a row of the database, which holds 2 MB; a larger one is read from weft.json. */
export const MAX_STORED_MATRIX_BYTES = 256 * KIB;

/** What `"auto"` came to: the labels, and again as keys of the class weights. */
const MAX_RESOLVED_BYTES = 2 * MAX_LABELS_BYTES + MAX_LABELS * 32 + 64 * KIB;

export const MAX_EVENTS_PER_CALL = 100;
export const MAX_EVENT_CHARS = 4000;
/** Six bytes escape a character; an event's numbers take less than what is added. */
const MAX_EVENTS_BYTES = MAX_EVENTS_PER_CALL * (6 * MAX_EVENT_CHARS + 4 * KIB);

/** A node's heartbeat while it trains a job. */
export const MAX_HEARTBEAT_BYTES = MAX_RESOLVED_BYTES + MAX_EVENTS_BYTES + 64 * KIB;

/** A node's word that a job is done. */
export const MAX_COMPLETION_BYTES = MAX_METRICS_BYTES + MAX_RESOLVED_BYTES + MAX_EVENTS_BYTES + 64 * KIB;
