import type { FastifyInstance } from 'fastify';
import { DEVICE_ANSWERS } from './device-answers.js';
import { GATE_ANSWERS } from './gate-answers.js';
import { OPERATION_ANSWERS } from './operation-answers.js';
import type { Answers } from './parts.js';
import { REGISTRY_ANSWERS } from './registry-answers.js';
import { ROLLOUT_ANSWERS } from './rollout-answers.js';

/** Every answer that its route does not describe itself. */
export const ANSWERS: Answers = {
  ...REGISTRY_ANSWERS,
  ...GATE_ANSWERS,
  ...DEVICE_ANSWERS,
  ...ROLLOUT_ANSWERS,
  ...OPERATION_ANSWERS,
};

/** Gives the routes that are registered after this call the schemas of their answers. Install it before what reads them. */
export function describeAnswers(app: FastifyInstance): void {
  app.addHook('onRoute', (route) => {
    const described = ANSWERS[`${[route.method].flat()[0]} ${route.url}`];
    if (described !== undefined) route.schema = { ...described, ...route.schema };
  });
}
