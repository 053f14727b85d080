/**
 * Labels out of what Ultralytics writes into a model's metadata: `{0: 'person', 1: "driver's cab"}` (a Python dict as text),
 * also JSON lists and objects. Null when that is not what stands there, or ids have gaps.
 */
export function labelsFromMetadata(text: string | undefined): string[] | null {
  if (text === undefined || text.length > 512 * 1024) return null;
  const labels: string[] = [];
  const entry = /(\d{1,5}|"\d{1,5}"|'\d{1,5}')\s*:\s*(?:'((?:[^'\\]|\\.){0,200})'|"((?:[^"\\]|\\.){0,200})")/gy;
  const body = text.trim();
  if (body.startsWith('[')) return fromJsonList(body);
  if (!body.startsWith('{') || !body.endsWith('}')) return null;
  let at = 1;
  for (;;) {
    while (/[\s,]/.test(body[at] ?? '')) at++;
    if (at >= body.length - 1) break;
    entry.lastIndex = at;
    const match = entry.exec(body);
    if (match === null) return null;
    if (Number(match[1].replace(/["']/g, '')) !== labels.length) return null;
    labels.push((match[2] ?? match[3]).replace(/\\(.)/g, '$1'));
    at = entry.lastIndex;
  }
  return labels.length > 0 ? labels : null;
}

function fromJsonList(text: string): string[] | null {
  try {
    const list: unknown = JSON.parse(text);
    return Array.isArray(list) && list.length > 0 && list.every((label) => typeof label === 'string') ? list : null;
  } catch {
    return null;
  }
}
