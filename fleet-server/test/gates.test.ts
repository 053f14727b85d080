import { afterAll, describe } from 'vitest';
import { gatesStory } from './gates-story.js';
import { dataFolder, dropTemplate } from './server-fixture.js';

describe('gates', () => {
  afterAll(dropTemplate);
  gatesStory(async () => ({ ...(await dataFolder()), changes: {} }));
});
