import type { ApiError } from '../api/client.ts';
import { Heads } from './heads.tsx';

/** What the API refused and why, in its words. */
export function Problem({ error, retry }: { error: ApiError; retry?: () => void }) {
  const unnamed = error.totalLines - error.lines.length;
  return (
    <div class="problem" role="alert">
      <p>
        {error.message}
        {error.param !== null && (
          <>
            {' '}
            <code>{error.param}</code>
          </>
        )}
      </p>
      {error.lines.length > 0 && (
        <table class="lines">
          <Heads columns={['Line', 'Problem']} />
          <tbody>
            {error.lines.map(({ line, message }) => (
              <tr key={`${line} ${message}`}>
                <td>{line}</td>
                <td>{message}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {unnamed > 0 && <p>and {unnamed.toLocaleString('en')} more</p>}
      {error.requestId !== undefined && <p class="muted small">request {error.requestId}</p>}
      {retry && (
        <button type="button" onClick={retry}>
          Try again
        </button>
      )}
    </div>
  );
}
