import { printable } from './table.js';

/** What `GET /releases/NAME/VERSION/gates` says. */
export interface NeedsView {
  release: { name: string; version: string; state: string };
  decide: boolean;
  certified: string[];
  gates: { policy: string; verdict: string; classes: ClassNeed[] }[];
}

interface ClassNeed {
  hardwareClasses: string[];
  verdict: string;
  rules: RuleNeed[];
}

interface RuleNeed {
  require: string;
  metric: string;
  verdict: string;
  code: string;
  why: string;
  evidence: { arch?: string[]; hardwareClass?: string[]; benchmark?: string[]; source?: string[] };
  minSamples: number;
}

/** What `vigie-models evaluate` measures; everything else is a matter of the machine. */
const ACCURACY = /^(ap|ap50|ap75|ap(Small|Medium|Large)|ar10{0,2}|accuracy|precision|recall|f1)(\.|$)/;

/** What a release lacks to reach boards, and the commands that would bring it. Empty where it lacks nothing. `named`: its package. */
export function needsText({ release, decide, gates }: NeedsView, named = 'PACKAGE.vigie'): string {
  const { state } = release;
  const file = /^[\w./@+-]+$/.test(named) ? named : `'${named.replaceAll("'", "'\\''")}'`;
  const label = `${release.name}@${release.version}`;
  if (state === 'released' || state === 'withdrawn') return '';
  if (state === 'approved')
    return said([`${label} is certified and waits for a publisher's word:`, `  vigie gate release ${label}`]);
  if (!decide) return '';
  const head = `No board gets ${label} before a gate has passed it.`;
  if (gates.length === 0) {
    return said([
      `${head} No gate judges this model yet: say what it must show, on which machines (docs/gates.md;`,
      'benchmarks/gates/edge-realtime.yaml is one), and an admin puts it in force:',
      '  vigie gate put FILE',
    ]);
  }
  const lines = [head];
  for (const { policy, classes } of gates) {
    for (const { hardwareClasses, verdict, rules } of classes) {
      lines.push(`  gate ${policy}, for ${hardwareClasses.join(', ')}: ${verdict}`);
      for (const rule of rules) lines.push(`    ${rule.verdict.padEnd(12)} ${rule.require}: ${rule.why}`);
    }
  }
  const rules = gates.flatMap(({ classes }) => classes.flatMap((one) => one.rules));
  const steps = new Set(
    rules.filter(({ verdict }) => verdict === 'inconclusive').flatMap((rule) => step(rule, label, file)),
  );
  if (steps.size > 0) lines.push('Next:', ...[...steps].map((line) => `  ${line}`));
  if (rules.some(({ verdict }) => verdict === 'fail')) {
    const classes = [...new Set(gates.flatMap((gate) => gate.classes.flatMap((one) => one.hardwareClasses)))];
    lines.push(
      'It broke a rule: upload a better version, or ask for an exception, which a second person approves:',
      `  vigie gate override ${label} ${classes.join(' ')} --reason "..."`,
    );
  }
  return said(lines);
}

/** The commands that bring what a rule waits for. */
function step({ metric, code, evidence, minSamples }: RuleNeed, label: string, file: string): string[] {
  if (code === 'NO_CHAMPION')
    return ['vigie release promote NAME@VERSION --reason "..."   # the release it is held against'];
  if (code === 'CHAMPION_UNMEASURED') return ['measure the champion in the same place, too'];
  const { arch, hardwareClass, benchmark, source } = evidence;
  const ci = source === undefined || source.includes('ci');
  if (ACCURACY.test(metric) && ci && allows(benchmark, 'evaluate')) {
    return [
      `vigie-models evaluate ${file} --dataset DIR --benchmark accuracy.json`,
      'vigie benchmark post accuracy.json',
    ];
  }
  // A machine of CI has no hardware class: that is for boards of the lab.
  if (ci && hardwareClass === undefined && allows(benchmark, 'run')) {
    const where = arch === undefined ? '' : `   # on ${arch.join(' or ')}`;
    const samples = minSamples > 300 ? ` --samples ${minSamples}` : '';
    return [`vigie-bench run ${file}${samples} --json > result.json${where}`, 'vigie benchmark post result.json'];
  }
  if ((source === undefined || source.includes('lab')) && allows(benchmark, 'lab')) {
    const classes = hardwareClass === undefined ? '' : ` --class ${hardwareClass.join(' ')}`;
    return [`vigie benchmark lab ${label}${classes}   # boards that enrolled with a token of the role lab`];
  }
  return [
    `vigie benchmark post FILE   # a result of the benchmark ${benchmark?.join(' or ') ?? 'that the gate names'}`,
  ];
}

const allows = (names: string[] | undefined, name: string) => names === undefined || names.includes(name);
const said = (lines: readonly string[]) => `${lines.map(printable).join('\n')}\n`;
