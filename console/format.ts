/** A share of 1 with three digits, as metrics are compared. */
export function score(value: number | null | undefined): string {
  return value === null || value === undefined ? '–' : value.toFixed(3);
}

export function percent(share: number): string {
  return `${(100 * share).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`;
}

export function count(value: number): string {
  return value.toLocaleString('en');
}

export function bytes(value: number | null): string {
  if (value === null) return '–';
  if (value < 1024) return `${value} B`;
  if (value < 1024 * 1024) return `${(value / 1024).toFixed(0)} KiB`;
  return `${(value / 1024 / 1024).toFixed(1)} MiB`;
}

/** Seconds in the two largest units that matter, such as "1 min 5 s". */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${whole % 60} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** A Unix second as date and time, in the reader's own zone. */
export function time(unixSeconds: number): string {
  return new Date(unixSeconds * 1000).toLocaleString('en-GB', { dateStyle: 'medium', timeStyle: 'short' });
}

export function clock(unixSeconds: number): string {
  return new Date(unixSeconds * 1000).toLocaleTimeString('en-GB');
}

/** A number as long as it needs to be: 0.0005 and 12.35, not 5e-4. */
export function number(value: number): string {
  return value.toLocaleString('en', { maximumSignificantDigits: 4, useGrouping: false });
}
