import { createRequire } from 'node:module';
import type * as Models from '@tufjs/models';

type TargetsClass = typeof Models.Targets;
type Json = Record<string, unknown>;

const PATCHED = Symbol('reads and writes its targets in linear time');

/**
 * @tufjs/models 4.1 copies all targets once per target, reading and writing: 4,000 of them took 18 s, and the live frames of a
 * board would wait for that. Here the same objects are made in one pass. Order and content are those of the library.
 */
function makeLinear(models: typeof Models): void {
  const Targets = models.Targets as TargetsClass & { [PATCHED]?: true };
  if (Targets[PATCHED]) return;
  const fromJSON = Targets.fromJSON.bind(Targets) as (data: Json) => Models.Targets;
  const toJSON = Targets.prototype.toJSON;
  Targets.fromJSON = ((data: Json) => {
    const { targets } = data;
    // What is no object is the library's to refuse.
    if (typeof targets !== 'object' || targets === null) return fromJSON(data);
    const made = fromJSON({ ...data, targets: {} });
    const files = Object.entries(targets).map(
      ([path, file]) => [path, models.TargetFile.fromJSON(path, file)] as const,
    );
    (made as { targets: Models.Targets['targets'] }).targets = Object.fromEntries(files);
    return made;
  }) as TargetsClass['fromJSON'];
  Targets.prototype.toJSON = function (this: Models.Targets) {
    const bare = Object.create(this, { targets: { value: {} } }) as Models.Targets;
    const json = toJSON.call(bare);
    return {
      ...json,
      targets: Object.fromEntries(Object.entries(this.targets).map(([path, file]) => [path, file.toJSON()])),
    };
  };
  Targets[PATCHED] = true;
}

const require = createRequire(import.meta.url);
// tuf-js may have a copy of its own.
for (const from of [require, createRequire(require.resolve('tuf-js'))]) {
  makeLinear(from('@tufjs/models') as typeof Models);
}
