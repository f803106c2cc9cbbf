import type { Answer } from '../../api/classify.ts';
import type { Classification } from '../../api/types.ts';
import { Bars } from '../../components/bars.tsx';
import { Scroll } from '../../components/scroll.tsx';
import { score } from '../../format.ts';
import { Stages } from './stages.tsx';

interface ResultsProps {
  texts: readonly string[];
  models: readonly string[];
  answer: Answer;
}

/** Labels beyond these are not drawn: the rest of a thousand scores says nothing. */
const MAX_BARS = 20;

/** What each adapter says of each text: all scores of one text, or the best label of many. */
export function Results({ texts, models, answer: { data, timing, tokens } }: ResultsProps) {
  const answerOf = (text: number, model: number) => data[text * models.length + model]!;
  return (
    <>
      <Stages timing={timing} texts={data.length} tokens={tokens} />
      {texts.length === 1 ? (
        <div class="columns">
          {models.map((model, i) => (
            <Scores key={model} answer={answerOf(0, i)} />
          ))}
        </div>
      ) : (
        <section class="card" aria-label="Answers">
          <Scroll>
            <table>
              <thead>
                <tr>
                  <th scope="col">Text</th>
                  {models.map((model) => (
                    <th key={model} scope="col">
                      {model}
                    </th>
                  ))}
                </tr>
              </thead>
              <tbody>
                {texts.map((text, i) => (
                  <tr key={`${i} ${text}`}>
                    <td>{text}</td>
                    {models.map((model, j) => (
                      <td key={model} class="nowrap">
                        {answerOf(i, j).label} <span class="muted">{score(answerOf(i, j).score)}</span>
                      </td>
                    ))}
                  </tr>
                ))}
              </tbody>
            </table>
          </Scroll>
        </section>
      )}
    </>
  );
}

function Scores({ answer: { model, label, scores, truncated } }: { answer: Classification }) {
  const sorted = Object.entries(scores).sort(([, a], [, b]) => b - a);
  const bars = sorted.slice(0, MAX_BARS).map(([name, value]) => ({
    name,
    value,
    text: score(value),
    isMain: name === label,
  }));
  return (
    <section class="card" aria-label={`Scores of ${model}`}>
      <h2>
        {model}: {label}
      </h2>
      {truncated && <p class="muted">The text is longer than the adapter reads; its end was cut off.</p>}
      <Bars label={`Scores of ${model}`} of={1} bars={bars} />
      {sorted.length > MAX_BARS && (
        <p class="muted small">and {sorted.length - MAX_BARS} labels below these</p>
      )}
    </section>
  );
}
