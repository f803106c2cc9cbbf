/** The list that offers the labels of a page. */
export const LABELS_LIST = 'labels-of-file';

interface LabelInputProps {
  name: string;
  value: string;
  isChanged: boolean;
  onChange: (value: string) => void;
}

/** A row's label, to be typed over. */
export function LabelInput({ name, value, isChanged, onChange }: LabelInputProps) {
  return (
    <input
      class={isChanged ? 'changed' : ''}
      aria-label={isChanged ? `${name}, changed` : name}
      list={LABELS_LIST}
      value={value}
      maxLength={256}
      onChange={(event) => onChange(event.currentTarget.value)}
    />
  );
}

/** The labels that inputs of the page offer. */
export function LabelOptions({ labels }: { labels: readonly string[] }) {
  return (
    <datalist id={LABELS_LIST}>
      {labels.map((label) => (
        <option key={label} value={label} />
      ))}
    </datalist>
  );
}
