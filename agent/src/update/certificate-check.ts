import { ANY_HARDWARE_CLASS, type Certificate, type ReleaseReference } from '@vigie/protocol';
import { InstallError } from './install-error.js';

/** Is this release certified for this board? Throws InstallError NOT_CERTIFIED. */
export function checkCertificate(certificate: Certificate, release: ReleaseReference, hardwareClass: string): void {
  if (certificate.digest !== release.digest) {
    throw new InstallError('NOT_CERTIFIED', `the certificate is of package ${certificate.digest}`);
  }
  const classes = certificate.grants.map((grant) => grant.hardwareClass);
  if (classes.includes(ANY_HARDWARE_CLASS) || classes.includes(hardwareClass)) return;
  throw new InstallError(
    'NOT_CERTIFIED',
    `${release.name} ${release.version} is certified for ${classes.join(', ') || 'no class'}; this board is ${hardwareClass}`,
  );
}
