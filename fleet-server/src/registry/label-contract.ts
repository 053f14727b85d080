/** Labels that rules on boards need, and which boards those are. */
export type NeededLabels = ReadonlyMap<string, readonly string[]>;

export interface MissingLabel {
  label: string;
  /** Boards whose rules name it. */
  devices: string[];
}

/** Boards named in a refusal, per label. */
const SHOWN_DEVICES = 5;

/**
 * Labels that these boards' rules need and the release does not have: with it, such a rule would fall silent and nobody would
 * notice. `devices`: the boards that shall get the release; null: all.
 */
export function missingLabels(
  labels: readonly string[],
  needed: NeededLabels,
  devices: ReadonlySet<string> | null,
): MissingLabel[] {
  const has = new Set(labels);
  const missing: MissingLabel[] = [];
  for (const [label, needing] of needed) {
    if (has.has(label)) continue;
    const concerned = devices === null ? [...needing] : needing.filter((id) => devices.has(id));
    if (concerned.length > 0) missing.push({ label, devices: concerned.sort() });
  }
  return missing.sort((a, b) => (a.label < b.label ? -1 : 1));
}

/** One line for the operator. */
export function describeMissing(release: string, missing: readonly MissingLabel[]): string {
  const parts = missing.map(({ label, devices }) => {
    const more = devices.length > SHOWN_DEVICES ? ` and ${devices.length - SHOWN_DEVICES} more` : '';
    return `"${label}" (${devices.slice(0, SHOWN_DEVICES).join(', ')}${more})`;
  });
  return (
    `${release} does not know ${parts.join(', ')}, which rules of these boards need; ` +
    'change the rules, choose another release, or override with a reason'
  );
}
