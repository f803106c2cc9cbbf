import { ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE } from '../../shared/adapter-format.ts';
import type { PeftBundle } from './bundles.ts';

/** The form that imports a bundle's two PEFT files under a name. */
export function importForm(
  name: string,
  files: Pick<PeftBundle, typeof ADAPTER_CONFIG_FILE | typeof ADAPTER_WEIGHTS_FILE>,
  { labels = 3, maxLength = 32 }: { labels?: number; maxLength?: number } = {},
): FormData {
  const form = new FormData();
  for (const file of [ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE] as const) {
    form.set(file, new Blob([files[file]]), file);
  }
  form.set('name', name);
  form.set('labels', JSON.stringify(Array.from({ length: labels }, (_, i) => `label ${i}`)));
  form.set('pooling', 'mean');
  form.set('max_length', String(maxLength));
  return form;
}
