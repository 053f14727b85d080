/** Lines of a mail at the most. */
const MOST = 100;

interface AlertBody {
  rule: { name: string; severity: string };
  count: number;
  alerts: readonly { subject: string; text: string; raisedAt: string }[];
}

const VERBS: Record<string, string> = {
  'alert.raised': 'raised',
  'alert.repeated': 'still raised',
  'alert.cleared': 'cleared',
};

/** A delivery as people read it. */
export function mailOf(kind: string, body: Record<string, unknown>): { subject: string; text: string } {
  if (VERBS[kind] !== undefined && Array.isArray(body.alerts))
    return alertMail(VERBS[kind], body as unknown as AlertBody);
  const subject = oneLine(`[vigie] ${kind} ${typeof body.subject === 'string' ? body.subject : ''}`);
  return { subject, text: `${JSON.stringify(body, null, 2)}\n` };
}

function alertMail(verb: string, { rule, count, alerts }: AlertBody): { subject: string; text: string } {
  const about = count === 1 ? (alerts[0]?.text ?? '') : `${count} alerts`;
  const lines = alerts.slice(0, MOST).map(({ text, raisedAt }) => `- ${oneLine(text)} (since ${raisedAt})`);
  if (count > lines.length) lines.push(`- and ${count - lines.length} more`);
  return {
    subject: oneLine(`[vigie] ${rule.severity}: ${rule.name} ${verb}: ${about}`),
    text: `The rule "${rule.name}" (${rule.severity}): ${verb}.\n\n${lines.join('\n')}\n`,
  };
}

/** Text of boards and operators may hold anything; a header is one line. */
function oneLine(text: string): string {
  return text
    .replace(/[\p{Cc}\u2028\u2029]+/gu, ' ')
    .slice(0, 200)
    .trim();
}
