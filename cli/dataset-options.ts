import { Option } from '@commander-js/extra-typings';
import { columnName } from '../shared/api/datasets.ts';
import { checkedBy } from './verb.ts';

/** How a dataset is read, in commands as in an upload. */
export interface DatasetOptions {
  skipInvalid?: true | undefined;
  textColumn?: string | undefined;
  labelColumn?: string | undefined;
}

export const skipInvalidOption = () => new Option('--skip-invalid', 'leave invalid rows out');

export const columnOption = <F extends 'text' | 'label'>(field: F) =>
  new Option(
    `--${field}-column <name>`,
    `the column or field that holds the ${field}, unless it is called so`,
  ).argParser(checkedBy(columnName));
