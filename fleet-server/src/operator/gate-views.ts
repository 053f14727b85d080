import type { GateVerdict } from '@vigie/protocol';
import { printable } from './table.js';

/** Lines of a verdict: each class, each rule, and why. */
export function verdictText(verdict: Pick<GateVerdict, 'policy' | 'verdict' | 'classes'>): string {
  const lines = [`${verdict.policy}: ${verdict.verdict}`];
  for (const { hardwareClasses, verdict: judged, rules } of verdict.classes) {
    lines.push(`  ${hardwareClasses.join(', ')}: ${judged}`);
    for (const rule of rules) lines.push(`    ${rule.verdict.padEnd(12)} ${rule.require}: ${rule.why}`);
  }
  return `${lines.map(printable).join('\n')}\n`;
}

/** What a judgement of the server says. */
export interface JudgementView {
  release: { name: string; version: string; state: string };
  verdicts: GateVerdict[];
  certified: string[];
}

export function judgementText({ release, verdicts, certified }: JudgementView): string {
  const said = verdicts.length === 0 ? 'no gate policy judges it\n' : verdicts.map(verdictText).join('');
  const news = certified.length === 0 ? '' : `newly certified for ${certified.join(', ')}\n`;
  return `${release.name}@${release.version} ${release.state}\n${said}${news}`;
}
