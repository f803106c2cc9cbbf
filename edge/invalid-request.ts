import { z } from 'zod';
import { AppError } from '../shared/errors.ts';

type Issue = z.core.$ZodIssue;

// Every schema's error about an unknown field names the known ones too.
z.config({
  customError: (issue) =>
    issue.code === 'unrecognized_keys' && issue.inst instanceof z.ZodObject
      ? unknownField(Object.keys(issue.inst.shape))
      : undefined,
});

/** The message about an unknown field, the same for a JSON body and a form. */
export function unknownField(known: readonly string[]): string {
  return `unknown field; there are ${known.join(', ')}`;
}

/** A failed validation as a 422 that names the field: `hyperparameters.learning_rate`, `input.3.text`. */
export function invalidRequest(error: z.core.$ZodError): AppError {
  const issue = mostTelling(error.issues[0]!);
  const path = issue.code === 'unrecognized_keys' ? [...issue.path, issue.keys[0]!] : issue.path;
  const param = path.join('.');
  return new AppError('invalid_request', `${param || 'The body'}: ${issue.message}`, {
    ...(param && { param }),
    cause: error,
  });
}

/** Follows a failed union into the member nearest to the input: the one with the fewest complaints. */
function mostTelling(issue: Issue, allowAuto = false): Issue {
  if (issue.code === 'invalid_key' && issue.issues.length > 0) {
    return { ...issue, message: `the key: ${issue.issues[0]!.message}` };
  }
  if (issue.code !== 'invalid_union' || issue.errors.length === 0) {
    return allowAuto ? { ...issue, message: `${issue.message}, or "auto"` } : issue;
  }
  const ofNone = noMember(issue.errors) ?? noValue(issue.errors);
  if (ofNone) return { ...ofNone, path: [...issue.path, ...ofNone.path] };
  const ofItsType = issue.errors.filter((issues) => !isMismatch(issues, 'invalid_value', 'invalid_type'));
  const members = issue.errors.filter((issues) => !isMismatch(issues, 'invalid_value'));
  const candidates = [ofItsType, members, issue.errors].find((some) => some.length > 0)!;
  const best = candidates.reduce((a, b) => (b.length < a.length ? b : a));
  const inner = best[0]!;
  const hasAuto = issue.errors.some(isAutoMismatch) && best.length === 1;
  return mostTelling({ ...inner, path: [...issue.path, ...inner.path] }, hasAuto);
}

/** The complaint about a field that tells a union's members apart, with all its possible values, if the field's value is none of them. */
function noMember(members: readonly (readonly Issue[])[]): Issue | undefined {
  const [first] = members[0]!;
  if (first?.code !== 'invalid_value' || first.path.length === 0) return undefined;
  const atField = members.map((issues) =>
    issues.find(({ code, path }) => code === 'invalid_value' && path.join('.') === first.path.join('.')),
  );
  if (!atField.every((each) => each?.code === 'invalid_value')) return undefined;
  const values = [...new Set(atField.flatMap((each) => (each?.code === 'invalid_value' ? each.values : [])))];
  const message = `expected one of ${values.map((value) => JSON.stringify(value)).join(', ')}`;
  return { ...first, values, message };
}

/**
 * The complaint about a value that is none of the possible ones and of no possible type, with all of them; undefined where no more than one
 * value is possible.
 */
function noValue(members: readonly (readonly Issue[])[]): Issue | undefined {
  const each = withoutUnions(members);
  if (!each.every((issues) => isMismatch(issues, 'invalid_value', 'invalid_type'))) return undefined;
  const issues = each.flat();
  const values = new Set(issues.flatMap((issue) => (issue.code === 'invalid_value' ? issue.values : [])));
  const types = new Set(issues.flatMap((issue) => (issue.code === 'invalid_type' ? [issue.expected] : [])));
  if (values.size < 2) return undefined;
  const possible = [...[...values].map((value) => JSON.stringify(value)), ...types];
  return {
    code: 'invalid_value',
    path: [],
    values: [...values],
    message: `expected one of ${possible.join(', ')}`,
  };
}

/** The members of a union, with those of a member that is a union itself in its place. */
function withoutUnions(members: readonly (readonly Issue[])[]): (readonly Issue[])[] {
  return members.flatMap((issues) => {
    const [issue] = issues;
    return issue?.code === 'invalid_union' && isMismatch(issues, 'invalid_union')
      ? withoutUnions(issue.errors)
      : [issues];
  });
}

/** True if a union's member complains only that the whole value is another one, or of another type. */
function isMismatch(issues: readonly Issue[], ...codes: Issue['code'][]): boolean {
  return issues.length === 1 && codes.includes(issues[0]!.code) && issues[0]!.path.length === 0;
}

function isAutoMismatch(issues: readonly Issue[]): boolean {
  const issue = issues[0];
  return (
    isMismatch(issues, 'invalid_value') && issue?.code === 'invalid_value' && issue.values.includes('auto')
  );
}
