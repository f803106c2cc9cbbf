import { z } from 'zod';
import { AppError } from '../../shared/errors.ts';
import { bert } from './bert.ts';
import { distilbert } from './distilbert.ts';
import type { Architecture } from './model.ts';
import { roberta } from './roberta.ts';

/** Every architecture, by the `model_type` of its config.json. */
export const ARCHITECTURES: Readonly<Record<string, (config: unknown) => Architecture>> = {
  bert,
  roberta,
  'xlm-roberta': roberta,
  distilbert,
};

const anyConfig = z.object({ model_type: z.string() });

/**
 * The architecture that a parsed config.json describes. `name` names the model in messages.
 * @throws AppError naming the field that does not fit, or the architectures there are
 */
export function parseArchitecture(config: unknown, name: string): Architecture {
  try {
    const { model_type } = anyConfig.parse(config);
    const architecture = Object.hasOwn(ARCHITECTURES, model_type) ? ARCHITECTURES[model_type] : undefined;
    if (architecture) return architecture(config);
    const known = Object.keys(ARCHITECTURES).join(', ');
    throw new AppError(
      'internal_error',
      `base model ${name}: config.json says model_type ${JSON.stringify(model_type.slice(0, 80))}, supported: ${known}`,
    );
  } catch (cause) {
    if (!(cause instanceof z.ZodError)) throw cause;
    const [issue] = cause.issues;
    const field = issue?.path.join('.') || 'the whole';
    throw new AppError('internal_error', `base model ${name}: config.json: ${field}: ${issue?.message}`, {
      cause,
    });
  }
}
