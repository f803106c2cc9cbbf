import { useState } from 'preact/hooks';
import { type Answer, classify } from '../../api/classify.ts';
import { ApiError } from '../../api/client.ts';
import { AdapterChoice, chosenAdapters } from '../../components/adapter-choice.tsx';
import { Field } from '../../components/field.tsx';
import { Page } from '../../components/page.tsx';
import { Problem } from '../../components/problem.tsx';
import { call } from '../../store/known.ts';
import { Examples } from './examples.tsx';
import { keep } from './kept-examples.ts';
import { Results } from './results.tsx';

/** What the API takes of texts times adapters in one request. */
const MAX_INPUTS = 256;

/** Asks several adapters about a text, or many texts, in one request. */
export function PlaygroundPlace() {
  const [text, setText] = useState('');
  const [isMany, setMany] = useState(false);
  const [answered, setAnswered] = useState<{ texts: string[]; models: string[]; answer: Answer }>();
  const [error, setError] = useState<ApiError>();
  const [isBusy, setBusy] = useState(false);
  const models = chosenAdapters();
  const lines = text.split('\n').map((line) => line.trim());
  const texts = (isMany ? lines : [text.trim()]).filter((one) => one !== '');
  const isTooMany = texts.length * models.length > MAX_INPUTS;
  const ask = async () => {
    setBusy(true);
    setError(undefined);
    try {
      const input = texts.flatMap((one) => models.map((model) => ({ model, text: one })));
      setAnswered({ texts, models, answer: await classify(call, input) });
    } catch (cause) {
      if (!(cause instanceof ApiError)) throw cause;
      setError(cause);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Page title="Playground">
      <form
        class="card"
        onSubmit={(event) => {
          event.preventDefault();
          void ask();
        }}
      >
        <AdapterChoice of="playground" />
        <Field
          label={isMany ? 'Texts, one a line' : 'Text'}
          hint={
            isTooMany
              ? `${texts.length} texts for ${models.length} adapters are more than ${MAX_INPUTS} together`
              : 'Ctrl-Enter asks'
          }
        >
          {(attributes) => (
            <textarea
              {...attributes}
              name="text"
              rows={isMany ? 8 : 4}
              value={text}
              onInput={(event) => setText(event.currentTarget.value)}
              onKeyDown={(event) => {
                if (event.key === 'Enter' && (event.ctrlKey || event.metaKey))
                  event.currentTarget.form!.requestSubmit();
              }}
            />
          )}
        </Field>
        <div class="actions">
          <button
            type="submit"
            class="main"
            disabled={isBusy || isTooMany || texts.length === 0 || models.length === 0}
          >
            Classify
          </button>
          <button type="button" disabled={texts.length === 0} onClick={() => keep(texts)}>
            Keep as example
          </button>
          <label class="inline">
            <input
              type="checkbox"
              checked={isMany}
              onChange={(event) => setMany(event.currentTarget.checked)}
            />
            one text a line
          </label>
        </div>
        <Examples
          onChoose={(example) => {
            setMany(false);
            setText(example);
          }}
        />
        {error && <Problem error={error} />}
      </form>
      {answered && <Results {...answered} />}
    </Page>
  );
}
