import { examples, forget } from './kept-examples.ts';

/** The texts that were kept, to ask again. */
export function Examples({ onChoose }: { onChoose: (text: string) => void }) {
  if (examples.value.length === 0) return null;
  return (
    <details>
      <summary>Kept examples ({examples.value.length})</summary>
      <ul class="examples">
        {examples.value.map((text) => (
          <li key={text}>
            <button type="button" class="quiet cut" title={text} onClick={() => onChoose(text)}>
              {text}
            </button>
            <button
              type="button"
              class="quiet"
              aria-label={`Forget ${text.slice(0, 60)}`}
              onClick={() => forget(text)}
            >
              ×
            </button>
          </li>
        ))}
      </ul>
    </details>
  );
}
