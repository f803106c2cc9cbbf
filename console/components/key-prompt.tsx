import { useState } from 'preact/hooks';
import { isKeyRefused, signIn } from '../store/session.ts';

/** Asks for the key, which stays in this tab and never enters an address. */
export function KeyPrompt() {
  const [typed, setTyped] = useState('');
  const refused = isKeyRefused.value;
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    if (typed.trim() !== '') signIn(typed.trim());
  };
  return (
    <form class="card key-prompt" onSubmit={submit}>
      <h1 tabIndex={-1}>Your API key</h1>
      <p class="muted">
        The console calls the API with it. It is kept for this tab alone and sent nowhere else. A local
        platform prints its key when it starts.
      </p>
      <label>
        Key
        <input
          type="password"
          name="key"
          autocomplete="off"
          autofocus
          required
          value={typed}
          aria-invalid={refused}
          aria-describedby={refused ? 'key-refused' : undefined}
          onInput={(event) => setTyped(event.currentTarget.value)}
        />
      </label>
      {refused && (
        <p id="key-refused" role="alert" class="bad">
          The edge does not know this key, or it was revoked.
        </p>
      )}
      <button type="submit" class="main">
        Continue
      </button>
    </form>
  );
}
