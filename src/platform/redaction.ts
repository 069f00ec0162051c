/** A mail address, wherever it stands in a text; not what follows a slash, like the names of packages in a stack. */
const MAIL_ADDRESS = /(?<![\w.+%-])[\w.+%-]+@[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}(?![\w-])/gi;
/** Shorter texts are in everything. */
const MIN_LENGTH = 3;
const MAX_DEPTH = 8;

/** A text without the mail addresses that are in it: servers and libraries quote them in their errors. */
export function withoutMailAddresses(text: string): string {
  return text.includes('@') ? text.replace(MAIL_ADDRESS, '[mail address]') : text;
}

/** The texts in a value, the longest first: what holds another is taken out before it. */
export function textsIn(value: unknown): string[] {
  const found: string[] = [];
  const visit = (each: unknown): void => {
    if (typeof each === 'string' && each.length >= MIN_LENGTH) found.push(each);
    else if (typeof each === 'object' && each !== null) Object.values(each).forEach(visit);
  };
  visit(value);
  return found.sort((a, b) => b.length - a.length);
}

/** Takes texts out of what an error says, and of what it says as its cause. It stays the error that it is. */
export function conceal(error: unknown, texts: readonly string[], depth = 0): void {
  if (!(error instanceof Error) || texts.length === 0 || depth > MAX_DEPTH) return;
  const concealed = (said: string) => texts.reduce((it, text) => it.replaceAll(text, '[personal data]'), said);
  const { message, stack } = error;
  if (concealed(message) !== message) error.message = concealed(message);
  if (stack !== undefined && concealed(stack) !== stack) error.stack = concealed(stack);
  conceal(error.cause, texts, depth + 1);
}
