/** How far a board's benchmark has come. `asked`: no answer yet. */
export const LAB_STATES = ['asked', 'answered', 'refused', 'expired'] as const;
export type LabState = (typeof LAB_STATES)[number];
