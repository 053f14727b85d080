import { pipelineStory } from './support/pipeline.js';

/** On as many boards as the origin had. */
pipelineStory(50);
