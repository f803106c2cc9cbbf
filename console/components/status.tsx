/** A job's or an adapter's status, told by its word and not by colour alone. */
export function Status({ status }: { status: string }) {
  return <span class={`status ${status}`}>{status}</span>;
}
