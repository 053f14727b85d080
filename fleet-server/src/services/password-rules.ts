/**
 * Rules of passwords after NIST SP 800-63B, 3.1.1.2: long enough, no rules of composition, and none that is guessed first.
 */
export const MIN_PASSWORD = 12;
/** Longest password, characters. */
export const MAX_PASSWORD = 200;

/** Beginnings that lists of guesses begin with; numbers behind them do not help. */
const COMMON = [
  'password',
  'passw0rd',
  'motdepasse',
  'passwort',
  'qwertyuiop',
  'qwertzuiop',
  'azertyuiop',
  'letmein',
  'iloveyou',
  'administrator',
  'welcome',
  'changeme',
  'vigie',
];

/** A password as it is hashed: one spelling for what looks the same (RFC 8265, OpaqueString). */
export function preparedPassword(password: string): string {
  return password.normalize('NFC');
}

/** Why a password is refused, in one line; null: it is good. Never repeats it. */
export function passwordFault(password: string, userName: string): string | null {
  const text = preparedPassword(password);
  const length = [...text].length;
  if (length < MIN_PASSWORD)
    return `password: has ${length} characters; use ${MIN_PASSWORD} at least, such as four words`;
  if (length > MAX_PASSWORD) return `password: has ${length} characters; use ${MAX_PASSWORD} at the most`;
  const plain = text.toLowerCase();
  if (plain.includes(userName.toLowerCase()) && length - userName.length < MIN_PASSWORD)
    return 'password: is little more than the user name; choose another';
  const core = plain.replace(/[\d\s!?.,;:_@#$%&*+-]+/g, '');
  if (COMMON.some((word) => core === word || core === word + word))
    return 'password: is one of those that are guessed first; choose another';
  if (new Set(plain).size < 5) return 'password: repeats the same few characters; choose another';
  if (isSequence(plain)) return 'password: is a sequence of neighbours such as 123456; choose another';
  return null;
}

/** Does each character follow its neighbour by the same step (1234…, abcd…, 9876…)? */
function isSequence(text: string): boolean {
  const steps = new Set([...text].slice(1).map((_, index) => text.charCodeAt(index + 1) - text.charCodeAt(index)));
  return steps.size === 1 || ['01234567890123456789', '98765432109876543210'].some((row) => row.includes(text));
}
