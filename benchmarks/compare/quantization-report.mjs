// The verdict of the comparison with Python, and its table. Pure.

/** Ours may lose this much AP in the mean (0.3 points), and take this much longer. */
const MAX_MEAN_LOSS = 0.003;
const MAX_TIME_RATIO = 1.05;

/**
 * @param {{ap: {mean: number, high: number}, time: {ratio: number}}} result
 * @returns {{notSignificantlyBelow: boolean, meanWithinLimit: boolean, timeWithinLimit: boolean, passed: boolean}}
 */
export function verdict({ ap, time }) {
  const parts = {
    // significantly below: the whole 95 % interval of ours − Python's lies under 0
    notSignificantlyBelow: ap.high >= 0,
    meanWithinLimit: ap.mean >= -MAX_MEAN_LOSS,
    timeWithinLimit: time.ratio <= MAX_TIME_RATIO,
  };
  return { ...parts, passed: Object.values(parts).every(Boolean) };
}

/** The table as Markdown. */
export function markdownTable(report) {
  const points = (value) => (100 * value).toFixed(1);
  const both = ({ ap, ap50 }) => `${points(ap)} / ${points(ap50)}`;
  const signed = (value) => `${value >= 0 ? '+' : ''}${(100 * value).toFixed(2)}`;
  const kilobytes = (value) => Math.round(value / 1000);
  const difference = ({ mean, low, high }) => `${signed(mean)} (${signed(low)} .. ${signed(high)})`;
  const methods = ({ pythonMethods, pythonBest }) =>
    pythonMethods.map((m) => (m.name === pythonBest ? `**${m.name} ${both(m)}**` : `${m.name} ${both(m)}`)).join(', ');
  const rows = report.results.map((result) => {
    const { model, calibration, ap, ap50, againstFloat, bytes, time, verdict: v } = result;
    return (
      `| ${model} | ${both({ ap: againstFloat.ap.second, ap50: againstFloat.ap50.second })} | ${methods(result)} | ` +
      `${calibration} ${both({ ap: ap.first, ap50: ap50.first })} | ${difference(ap)} | ${difference(ap50)} | ` +
      `${kilobytes(bytes.float)} / ${kilobytes(bytes.python)} / ${kilobytes(bytes.ours)} | ` +
      `${time.ratio.toFixed(3)} (${time.low.toFixed(2)} .. ${time.high.toFixed(2)}) | ${v.passed ? 'yes' : '**no**'} |`
    );
  });
  const blocks = report.results
    .filter(({ withBlock }) => withBlock)
    .map(
      ({ model, withBlock: b }) =>
        `${model} with ${b.layers.map((name) => `\`${name}\``).join(', ')} in float ` +
        `(--float-share ${(Math.ceil(100 * b.share) / 100).toFixed(2)}): AP / AP50 ${both(b)}, time ${b.ratio.toFixed(2)} × Python's.`,
    );
  const python = report.results[0]?.python;
  return [
    `${report.dataset}; both calibrated on the same ${report.calibrationPictures} pictures (ours holds a fifth of them out ` +
      `to choose its method); target portable, Python with \`reduce_range\`${report.quick ? '; **quick run, no measurement**' : ''}.`,
    `${report.cpu}, Node ${report.node}, Python onnxruntime ${python?.onnxruntime}, onnx ${python?.onnx}. Python's best method, ` +
      'chosen by its result on the test set itself, is the one compared with. AP / AP50 in points; intervals of 95 %.',
    '',
    '| model | FP32 | Python by method | ours | ours − Python, AP | ours − Python, AP50 | kB FP32 / Python / ours | time ours / Python | within limits |',
    '|---|---|---|---|---|---|---|---|---|',
    ...rows,
    ...(blocks.length > 0 ? ['', ...blocks] : []),
    '',
  ].join('\n');
}
