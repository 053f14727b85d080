import type { DeliveryPolicy, Desired, ReleaseReference, ShadowPolicy, TrialPolicy } from '@vigie/protocol';

/** What an operator asks for in one assignment. */
export interface AssignmentRequest {
  release: ReleaseReference;
  retry?: boolean;
  trial?: Partial<TrialPolicy>;
  /** Look at frames beside the live model first. */
  shadow?: ShadowPolicy;
  delivery?: DeliveryPolicy;
}

/** The next desired state of a device: its generation is one above everything that was ever given out. */
export function nextDesired(deviceId: string, generation: number, request: AssignmentRequest, issuedAt: Date): Desired {
  if (!Number.isSafeInteger(generation) || generation < 0)
    throw new RangeError(`generation ${generation} of ${deviceId}`);
  return {
    deviceId,
    generation: generation + 1,
    issuedAt: issuedAt.toISOString(),
    release: request.release,
    ...(request.retry === undefined ? {} : { retry: request.retry }),
    ...(request.trial === undefined ? {} : { trial: request.trial }),
    ...(request.shadow === undefined ? {} : { shadow: request.shadow }),
    ...(request.delivery === undefined ? {} : { delivery: request.delivery }),
  };
}
