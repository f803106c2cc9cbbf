import { useState } from 'preact/hooks';

/** Commands to copy, one of several at a time. */
export function Snippets({ snippets }: { snippets: readonly { name: string; code: string }[] }) {
  const [chosen, setChosen] = useState(0);
  const [isCopied, setCopied] = useState(false);
  const { name, code } = snippets[chosen]!;
  const copy = async () => {
    await navigator.clipboard.writeText(code);
    setCopied(true);
    setTimeout(() => setCopied(false), 2000);
  };
  return (
    <section class="card" aria-labelledby="use">
      <div class="page-head">
        <h2 id="use">Use it</h2>
        <div class="actions">
          {snippets.map((snippet, i) => (
            <button key={snippet.name} type="button" aria-pressed={i === chosen} onClick={() => setChosen(i)}>
              {snippet.name}
            </button>
          ))}
          <button type="button" onClick={copy}>
            {isCopied ? 'Copied' : 'Copy'}
          </button>
        </div>
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard */}
      <section class="code" tabIndex={0} aria-label={`${name} command`}>
        <pre>{code}</pre>
      </section>
    </section>
  );
}
