/** One class's curve in the chart. */
export interface ChartSeries {
  label: string;
  /** Highest threshold first, so that recall never falls. */
  points: readonly { recall: number; precision: number }[];
  /** Point of the best F1, marked on the curve. */
  best?: { recall: number; precision: number };
}

const CHART_WIDTH = 800;
const CHART_HEIGHT = 600;

/** Curves drawn at most: more could not be told apart. */
const MAX_SERIES = 8;

/** Colours and dashes that stay apart for the colour-blind (Okabe and Ito 2008) and in black and white. */
const COLORS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#56b4e9', '#e69f00', '#000000', '#7a5195'];
const DASHES = ['', '10 4', '3 3', '12 4 3 4', '6 3', '2 5', '14 6', '8 3 2 3 2 3'];

const PLOT = { left: 74, top: 62, width: 460, height: 460 } as const;
const LEGEND = { left: 556, top: 74, step: 44 } as const;

/**
 * Draws precision over recall as SVG, 800 × 600, with a legend; the first `MAX_SERIES` of `series`. Faint lines join
 * points of equal F1. Points closer than a third of a pixel are drawn as one.
 */
export function precisionRecallSvg(title: string, subtitle: string, series: readonly ChartSeries[]): string {
  const shown = series.slice(0, MAX_SERIES);
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${CHART_WIDTH}" height="${CHART_HEIGHT}" ` +
      `viewBox="0 0 ${CHART_WIDTH} ${CHART_HEIGHT}" font-family="DejaVu Sans, Noto Sans, Liberation Sans, Arial, sans-serif" fill="#222">`,
    `<rect width="${CHART_WIDTH}" height="${CHART_HEIGHT}" fill="#fff"/>`,
    text(PLOT.left, 28, shorten(title, 64), 'font-size="18" font-weight="bold"'),
    text(PLOT.left, 49, shorten(subtitle, 100), 'font-size="13" fill="#555"'),
    ...grid(),
    ...equalF1(),
    ...shown.map((one, index) => curve(one, index)),
    ...shown.flatMap((one, index) => legendEntry(one, index)),
  ];
  const hidden = series.length - shown.length;
  const below = LEGEND.top + shown.length * LEGEND.step + 6;
  if (hidden > 0)
    parts.push(text(LEGEND.left, below, `and ${hidden} more classes, see report`, 'font-size="12" fill="#555"'));
  parts.push('</svg>');
  return `${parts.join('\n')}\n`;
}

const px = (recall: number): number => PLOT.left + recall * PLOT.width;
const py = (precision: number): number => PLOT.top + (1 - precision) * PLOT.height;
const n = (value: number): string => value.toFixed(1);

function grid(): string[] {
  const parts: string[] = [];
  const { left, top, width, height } = PLOT;
  for (let tenth = 0; tenth <= 10; tenth += 2) {
    const value = tenth / 10;
    const label = value.toFixed(1);
    parts.push(
      `<path d="M${n(px(value))} ${top}v${height}M${left} ${n(py(value))}h${width}" stroke="#ddd" fill="none"/>`,
      text(px(value), top + height + 22, label, 'font-size="14" text-anchor="middle"'),
      text(left - 10, py(value) + 5, label, 'font-size="14" text-anchor="end"'),
    );
  }
  parts.push(
    `<rect x="${left}" y="${top}" width="${width}" height="${height}" fill="none" stroke="#444" stroke-width="1.2"/>`,
    text(
      left + width / 2,
      top + height + 50,
      'Recall: share of the objects that are found',
      'font-size="15" text-anchor="middle"',
    ),
    `<g transform="translate(22 ${top + height / 2}) rotate(-90)">` +
      `${text(0, 0, 'Precision: share of the detections that are right', 'font-size="15" text-anchor="middle"')}</g>`,
  );
  return parts;
}

/** F1 = f at precision p: recall = f p / (2 p - f). */
function equalF1(): string[] {
  return [0.2, 0.4, 0.6, 0.8].map((f1) => {
    const points: string[] = [];
    // From precision 1 down to where recall reaches 1: both ends are f / (2 - f).
    const lowest = f1 / (2 - f1);
    for (let step = 0; step <= 40; step++) {
      const precision = 1 - ((1 - lowest) * step) / 40;
      points.push(`${n(px((f1 * precision) / (2 * precision - f1)))} ${n(py(precision))}`);
    }
    const label = text(px(1) - 5, py(lowest) + 16, `F1 ${f1}`, 'font-size="12" fill="#888" text-anchor="end"');
    return `<path d="M${points.join('L')}" fill="none" stroke="#c8c8c8" stroke-dasharray="2 4"/>${label}`;
  });
}

function curve({ points, best }: ChartSeries, index: number): string {
  const drawn: string[] = [];
  let lastX = Number.NaN;
  let lastY = Number.NaN;
  for (const [place, { recall, precision }] of points.entries()) {
    const [x, y] = [px(recall), py(precision)];
    if (place > 0 && place < points.length - 1 && Math.abs(x - lastX) < 0.33 && Math.abs(y - lastY) < 0.33) continue;
    drawn.push(`${n(x)} ${n(y)}`);
    [lastX, lastY] = [x, y];
  }
  const color = COLORS[index];
  // A single point has no line: a dot shows it.
  const line =
    drawn.length < 2
      ? ''
      : `<path d="M${drawn.join('L')}" fill="none" stroke="${color}" stroke-width="2.2" stroke-linejoin="round"${dash(index)}/>`;
  const mark =
    best === undefined
      ? ''
      : `<circle cx="${n(px(best.recall))}" cy="${n(py(best.precision))}" r="6" fill="#fff" stroke="${color}" stroke-width="3"/>`;
  return line + mark;
}

function legendEntry({ label, best }: ChartSeries, index: number): string[] {
  const y = LEGEND.top + index * LEGEND.step;
  const [name, detail] = label.split('\n', 2);
  return [
    `<path d="M${LEGEND.left} ${y - 5}h34" stroke="${COLORS[index]}" stroke-width="3" fill="none"${dash(index)}/>`,
    best === undefined
      ? ''
      : `<circle cx="${LEGEND.left + 17}" cy="${y - 5}" r="5" fill="#fff" stroke="${COLORS[index]}" stroke-width="2.5"/>`,
    text(LEGEND.left + 44, y, shorten(name, 22), 'font-size="14"'),
    detail === undefined ? '' : text(LEGEND.left + 44, y + 17, shorten(detail, 30), 'font-size="12" fill="#555"'),
  ];
}

function dash(index: number): string {
  return DASHES[index] === '' ? '' : ` stroke-dasharray="${DASHES[index]}"`;
}

function text(x: number, y: number, content: string, attributes: string): string {
  return `<text x="${n(x)}" y="${n(y)}" ${attributes}>${escapeXml(content)}</text>`;
}

function shorten(content: string, most: number): string {
  const characters = [...content];
  return characters.length <= most ? content : `${characters.slice(0, most - 1).join('')}…`;
}

/** Names come from strangers' files: they must not become markup, and control characters and half surrogates are no XML at all. */
function escapeXml(content: string): string {
  return content
    .replace(/[\p{Cc}\p{Cs}\ufffe\uffff]/gu, ' ')
    .replace(/[&<>"']/g, (char) => `&#${char.codePointAt(0)};`);
}
