import type { Reported } from '@vigie/protocol';

/** The part of a report that operators follow: when it changes, the activity log says so. */
export interface ReportState {
  generation: number | null;
  phase: string | null;
  /** `name@version`. */
  running: string | null;
  error: string | null;
  agentVersion: string;
  /** `ok` or the code of the configuration, behind its digest. */
  configuration: string | null;
}

export function reportState({ generation, phase, active, error, agentVersion, configuration }: Reported): ReportState {
  return {
    generation,
    phase,
    running: active === null ? null : `${active.release.name}@${active.release.version}`,
    error: error?.code ?? null,
    agentVersion,
    configuration: configuration === undefined ? null : `${configuration.digest} ${configuration.code ?? 'ok'}`,
  };
}

/** Equal texts: nothing to tell. */
export function stateText(state: ReportState): string {
  const { generation, phase, running, error, agentVersion, configuration } = state;
  return JSON.stringify([generation, phase, running, error, agentVersion, configuration]);
}
