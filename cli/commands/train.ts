import { randomUUID } from 'node:crypto';
import { InvalidArgumentError, Option } from '@commander-js/extra-typings';
import { adapter, createAdapter } from '../../shared/api/adapters.ts';
import { adapterName, fileId } from '../../shared/api/common.ts';
import { peftConfig } from '../../shared/peft-config.ts';
import { type Assignment, assign, readAssignment } from '../assignments.ts';
import type { Client } from '../client.ts';
import { columnOption, type DatasetOptions, skipInvalidOption } from '../dataset-options.ts';
import { usage } from '../failure.ts';
import { followJob } from '../follow.ts';
import { Session } from '../session.ts';
import { uploadDataset } from '../upload.ts';
import { checkedBy, REMOTE, verb } from '../verb.ts';
import type { World } from '../world.ts';

const METHODS = ['auto', 'qlora', ...peftConfig.options.map(({ shape }) => shape.type.value)];
/** Stands for files that are not uploaded yet, while the rest of a request is checked. */
const ANY_FILE = 'file_0';

interface TrainOptions extends DatasetOptions {
  validation?: string;
  method?: string;
  base?: string;
  epochs?: number;
  seed?: number;
  set?: Assignment[];
  follow?: true;
}

const wholeNumber = (given: string) => {
  if (/^\d{1,10}$/.test(given)) return Number(given);
  throw new InvalidArgumentError('It must be a whole number.');
};
const setOption = new Option(
  '--set <field=value>',
  'any other field of the request, e.g. hyperparameters.max_length=64 or method.r=16; may be repeated',
).argParser((given, before: Assignment[] | undefined) => [...(before ?? []), readAssignment(given)]);

export const train = (world: World) =>
  verb('train', 'Upload a dataset and train an adapter on it', REMOTE)
    .argument('<name>', "the adapter's name", checkedBy(adapterName))
    .argument('<file>', 'a dataset: a path, or the id of an uploaded file')
    .option('--validation <file>', 'a dataset to validate on; else a part of the first is')
    .addOption(new Option('--method <type>', 'how to adapt the base model').choices(METHODS))
    .option('--base <model>', 'the base model')
    .option('--epochs <n>', 'epochs', wholeNumber)
    .option('--seed <n>', 'seed', wholeNumber)
    .addOption(setOption)
    .addOption(skipInvalidOption())
    .addOption(columnOption('text'))
    .addOption(columnOption('label'))
    .option('--follow', 'follow the training to its end')
    .action(async (name, file, options, command) => {
      const session = new Session(world, command);
      const given = options as TrainOptions;
      // Whatever is wrong with the request is found before the upload.
      requestOf(name, ANY_FILE, given.validation && ANY_FILE, given);
      const client = await session.client();
      const training = await fileOf(session, client, file, given);
      const validation = given.validation && (await fileOf(session, client, given.validation, given));
      const { raw, value } = await client.call(adapter, {
        method: 'POST',
        path: '/v1/adapters',
        json: requestOf(name, training, validation, given),
        headers: { 'idempotency-key': randomUUID() },
        isSafe: true,
      });
      if (!given.follow) {
        session.out.result(raw, () => `${value.id} is ${value.status}: job ${value.job_id}`);
        session.out.next(`weft jobs follow ${value.job_id}`);
        return;
      }
      session.out.item(raw);
      session.out.note(`${value.id} is ${value.status}: job ${value.job_id}`);
      await followJob(session, client, value.job_id!);
    });

/** The id of a file: the one given, or that of the file uploaded from the path. */
async function fileOf(
  session: Session,
  client: Client,
  given: string,
  options: TrainOptions,
): Promise<string> {
  if (fileId.safeParse(given).success) return given;
  session.progress(`uploading ${given}`);
  const uploaded = uploadDataset(client, given, options).finally(() => session.progress(undefined));
  const { id, examples, warnings } = await uploaded;
  session.out.note(`uploaded ${given}: ${id}, ${examples} rows`);
  for (const warning of warnings) session.out.note(`warning: ${warning}`);
  return id;
}

/** The body of the request. @throws {Failure} `usage`, naming the field that the schema refuses */
export function requestOf(
  name: string,
  trainingFile: string,
  validationFile: string | undefined,
  options: TrainOptions,
): Record<string, unknown> {
  const body: Record<string, unknown> = {
    name,
    training_file: trainingFile,
    ...(validationFile && { validation_file: validationFile }),
    ...(options.base !== undefined && { base_model: options.base }),
    ...(options.method !== undefined && { method: { type: options.method } }),
    ...(options.epochs !== undefined && { hyperparameters: { epochs: options.epochs } }),
    ...(options.seed !== undefined && { seed: options.seed }),
  };
  for (const assignment of options.set ?? []) assign(body, assignment);
  const parsed = createAdapter.safeParse(body);
  if (parsed.success) return body;
  const [issue] = parsed.error.issues;
  throw usage(`${issue!.path.join('.') || 'the request'}: ${issue!.message}`, {
    param: issue!.path.join('.'),
  });
}
