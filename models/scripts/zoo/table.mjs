// The figures of the zoo as Markdown.

/** @param {{folder: string, manifest: object}[]} packages */
export function measuredTable(packages, { hardware, packages: figures, time, sizes }) {
  const entries = packages.map(({ folder, manifest }) => ({
    ...{ manifest, bytes: sizes[folder], time: time[folder], figures: figures[manifest.model.sha256] },
    figure: (name) => figures[manifest.model.sha256].find(({ dataset }) => dataset.startsWith(name)),
  }));
  const detectors = entries.filter(({ manifest }) => manifest.task === 'detect');
  const classifiers = entries.filter(({ manifest }) => manifest.task === 'classify');
  return [
    ...detectorTable(detectors, time.yolox),
    '',
    ...(classifiers.length > 0 ? [...classifierTable(classifiers), ''] : []),
    `Times: the model alone, median, one thread, all detectors in turns in one process (so are the classifiers), on ${hardware};`,
    'the ratio says how often a form runs while FP32 runs once. Milliseconds are of that moment; the ratios hold.',
  ].join('\n');
}

function detectorTable(entries, yolox) {
  const first = entries[0];
  const row = (title, cell) => `| ${title} | ${entries.map((entry) => cell(entry) ?? '–').join(' | ')} |`;
  const of = (name, text) => (entry) => {
    const figure = entry.figure(name);
    return figure && text(figure);
  };
  const ap = (name) => [
    row(
      `\`${name}\` AP50`,
      of(name, ({ ap50 }) => ap50.toFixed(3)),
    ),
    row(
      `\`${name}\` AP50:95`,
      of(name, ({ ap: value }) => value.toFixed(3)),
    ),
  ];
  const room = (text) => of('Intel one', text);
  return [
    `| person detector | ${entries.map(titleOf).join(' | ')} |`,
    `|---|${entries.map(() => '---').join('|')}|`,
    row('model file, KB', ({ bytes }) => Math.round(bytes / 1000)),
    row('of FP32', ({ bytes }) => (bytes / first.bytes).toFixed(2)),
    row(
      'ms a frame (times as fast as FP32)',
      ({ time }) => time && `${time.p50.toFixed(1)} (${time.ratio.toFixed(2)})`,
    ),
    ...(yolox
      ? [row('time of YOLOX-Nano 416 FP32 over it', ({ time }) => time && (time.ratio / yolox.ratio).toFixed(2))]
      : []),
    ...['human_test300', 'pv30', 'cafe50'].flatMap(ap),
    row(
      '`yard.mp4`, recall',
      of('models/media/yard', ({ recall }) => recall.toFixed(3)),
    ),
    row(
      '`yard.mp4`, precision',
      of('models/media/yard', ({ precision }) => precision.toFixed(3)),
    ),
    row(
      'room clip, visits found',
      room(({ visits, visitsFound }) => `${visitsFound} of ${visits}`),
    ),
    row(
      'room clip, frames of visits with the person',
      room(({ visitFramesFound: share }) => `${(100 * share).toFixed(1)} %`),
    ),
    row(
      'room clip, empty frames with an alarm',
      room((f) => `${f.emptyFramesWithAlarm} of ${f.emptyFrames}`),
    ),
    row(
      'car clip, frames with an alarm',
      of('Intel car', ({ framesWithAlarm }) => framesWithAlarm),
    ),
    row('threshold', ({ manifest }) => manifest.thresholds.default),
  ];
}

function classifierTable(entries) {
  const first = entries[0];
  const row = (title, cell) => `| ${title} | ${entries.map((entry) => cell(entry) ?? '–').join(' | ')} |`;
  const sets = [
    ...new Set(
      entries
        .flatMap(({ figures }) => figures)
        .filter(({ accuracy }) => accuracy)
        .map(({ dataset }) => dataset),
    ),
  ];
  return [
    `| person classifier | ${entries.map(titleOf).join(' | ')} |`,
    `|---|${entries.map(() => '---').join('|')}|`,
    row('model file, KB', ({ bytes }) => Math.round(bytes / 1000)),
    row('of FP32', ({ bytes }) => (bytes / first.bytes).toFixed(2)),
    row(
      'ms a frame (times as fast as FP32)',
      ({ time }) => time && `${time.p50.toFixed(2)} (${time.ratio.toFixed(2)})`,
    ),
    ...sets.map((set) =>
      row(`accuracy on ${set}; recall, precision of *person*`, ({ figures }) => {
        const figure = figures.find(({ dataset }) => dataset === set);
        return figure && [figure.accuracy, figure.recall, figure.precision].map((value) => value.toFixed(3)).join('; ');
      }),
    ),
  ];
}

function titleOf({ manifest }) {
  const { engine, precision } = manifest.model;
  return `${manifest.version}, ${engine === 'tfjs' ? 'TensorFlow.js, ' : ''}${precision}`;
}
