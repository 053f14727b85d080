import {
  type Evidence,
  evaluateGate,
  type GateVerdict,
  parseGatePolicy,
  type ReleaseReference,
  type Verdict,
} from '@vigie/protocol';
import { parse } from 'yaml';
import { readResult, readText } from './result-file.js';
import { MissingPieceError } from './rig/repository.js';

export interface GateOptions {
  /** Files. */
  policy: string;
  results: readonly string[];
  champion?: readonly string[];
}

export const GATE_EXIT: Readonly<Record<Verdict, number>> = { pass: 0, fail: 1, inconclusive: 2 };

/** Judges files by the code that the fleet server judges by. Throws MissingPieceError for files that cannot be meant. */
export async function runGate({ policy: path, results, champion }: GateOptions): Promise<GateVerdict> {
  let document: unknown;
  try {
    document = parse(await readText(path), { maxAliasCount: 0 });
  } catch (error) {
    if (error instanceof MissingPieceError) throw error;
    throw new MissingPieceError(`${path}: not YAML: ${(error as Error).message.split('\n')[0]}; correct that line`);
  }
  const parsed = parseGatePolicy(document);
  if (!parsed.ok) throw new MissingPieceError(`${path}: ${parsed.code}: ${parsed.field}: ${parsed.detail}`);
  const evidence = await readEvidence(results, 'the results');
  const other = champion === undefined ? null : await readEvidence(champion, '--champion');
  return evaluateGate(parsed.policy, evidence, other);
}

/** One line per rule: what was asked, what came out and why. */
export function gateText({ policy, verdict, classes }: GateVerdict): string {
  const lines = [`${policy}: ${verdict}`];
  for (const { hardwareClasses, verdict: judged, rules } of classes) {
    lines.push(`  ${hardwareClasses.join(', ')}: ${judged}`);
    for (const rule of rules) lines.push(`    ${rule.verdict.padEnd(12)} ${rule.require}: ${rule.why}`);
  }
  return `${lines.join('\n')}\n`;
}

/** Files count as evidence of CI, for CI runs this very command; what a lab board said is known to the server only. */
async function readEvidence(paths: readonly string[], what: string): Promise<Evidence[]> {
  const evidence: Evidence[] = [];
  let first: ReleaseReference | null = null;
  for (const path of paths) {
    const result = await readResult(path);
    first ??= result.release;
    if (result.release?.digest !== first?.digest) {
      const names = [first, result.release].map((one) => (one === null ? 'none' : `${one.name}@${one.version}`));
      throw new MissingPieceError(
        `${path}: ${what} are of several releases (${names.join(', ')}); give those of one at a time`,
      );
    }
    evidence.push({ id: path, source: 'ci', result });
  }
  return evidence;
}
