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
  const signed = (value) => `${value >= 0 ? '+' : ''}${(100 * value).toFixed(2)}`;
  const kilobytes = (value) => Math.round(value / 1000);
  const difference = ({ mean, low, high }) => `${signed(mean)} (${signed(low)} .. ${signed(high)})`;
  const rows = report.results.map(
    ({ model, calibration, ap, ap50, againstFloat, bytes, time, verdict: v }) =>
      `| ${model} | ${calibration} | ${points(againstFloat.ap.second)} / ${points(againstFloat.ap50.second)} | ` +
      `${points(ap.second)} / ${points(ap50.second)} | ${points(ap.first)} / ${points(ap50.first)} | ${difference(ap)} | ` +
      `${difference(ap50)} | ${kilobytes(bytes.float)} / ${kilobytes(bytes.python)} / ${kilobytes(bytes.ours)} | ` +
      `${time.ratio.toFixed(3)} (${time.low.toFixed(2)} .. ${time.high.toFixed(2)}) | ${v.passed ? 'yes' : '**no**'} |`,
  );
  const python = report.results[0]?.python;
  return [
    `${report.dataset}; calibrated on ${report.calibrationPictures} pictures (ours on four fifths, the rest held out to choose the method); target portable, Python with \`reduce_range\`` +
      `${report.quick ? '; **quick run, no measurement**' : ''}.`,
    `${report.cpu}, Node ${report.node}, Python onnxruntime ${python?.onnxruntime}, onnx ${python?.onnx}.`,
    '',
    '| model | ours calibrated by | FP32 AP / AP50 | Python | ours | ours − Python, AP | ours − Python, AP50 | kB FP32 / Python / ours | time ours / Python | within limits |',
    '|---|---|---|---|---|---|---|---|---|---|',
    ...rows,
    '',
  ].join('\n');
}
