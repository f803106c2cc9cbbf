import { Problem } from '../../components/problem.tsx';
import { clock } from '../../format.ts';
import type { Feed } from '../../store/feeds.ts';

/** All events of a job, newest first. */
export function EventLog({ feed: { events, connection, error } }: { feed: Feed }) {
  return (
    <section class="card" aria-labelledby="events">
      <h2 id="events">Events</h2>
      {error && <Problem error={error} />}
      {events.length === 0 && connection !== 'ended' && <p class="muted">None yet.</p>}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard */}
      <ol class="events" reversed tabIndex={0} aria-label="Events, newest first">
        {events.toReversed().map((event) => (
          <li key={event.id} data-event={event.id}>
            <time dateTime={new Date(event.created_at * 1000).toISOString()}>{clock(event.created_at)}</time>
            <span class={event.level}>{event.message}</span>
          </li>
        ))}
      </ol>
    </section>
  );
}
