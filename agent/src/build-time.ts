/**
 * A moment at which this version of the agent certainly existed: a floor for the time of a board without a clock. It is
 * written by hand when a version is released. File times will not do: npm sets all of them to 1985, a build machine with a
 * wrong clock to any year.
 */
export const AGENT_BUILT_AT = '2026-11-21T00:00:00.000Z';
