import { ANY_HARDWARE_CLASS, type Certificate, type ReleaseDescriptor } from '@vigie/protocol';
import { DEFAULT_POLICY } from './release-state.js';

/** What a policy needs to know of a released package. */
export interface CertifiedRelease {
  digest: string;
  requires: ReleaseDescriptor['requires'];
  createdAt: Date;
}

/**
 * The certificate that the default policy grants where the configuration asks for no gates: for the hardware classes that the package
 * itself names, or for every class. It says what it is: the policy's name is in it, and nothing was measured.
 */
export function defaultCertificate({ digest, requires, createdAt }: CertifiedRelease): Certificate {
  const named = requires.hardwareClasses ?? [];
  const classes = named.length === 0 ? [ANY_HARDWARE_CLASS] : [...new Set(named)].sort();
  const grant = { policy: DEFAULT_POLICY.name, measured: {}, grantedAt: createdAt.toISOString() };
  return { digest, grants: classes.map((hardwareClass) => ({ hardwareClass, ...grant })) };
}

/** One certificate for each package: what the default policy granted, and what gates did, whose measured word counts. */
export function mergeCertificates(byDefault: readonly Certificate[], byGates: readonly Certificate[]): Certificate[] {
  const merged = new Map(byDefault.map((certificate) => [certificate.digest, certificate]));
  for (const { digest, grants } of byGates) {
    const judged = new Set(grants.map(({ hardwareClass }) => hardwareClass));
    const others = (merged.get(digest)?.grants ?? []).filter(({ hardwareClass }) => !judged.has(hardwareClass));
    merged.set(digest, { digest, grants: [...others, ...grants] });
  }
  return [...merged.values()];
}
