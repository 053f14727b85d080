type Labels = Readonly<Record<string, string>>;

/** Writes the Prometheus text exposition format 0.0.4. */
export class MetricsText {
  private readonly lines: string[] = [];
  private readonly described = new Set<string>();

  counter(name: string, help: string, value: number, labels: Labels = {}): this {
    return this.add('counter', name, help, value, labels);
  }

  gauge(name: string, help: string, value: number, labels: Labels = {}): this {
    return this.add('gauge', name, help, value, labels);
  }

  toString(): string {
    return `${this.lines.join('\n')}\n`;
  }

  private add(type: string, name: string, help: string, value: number, labels: Labels): this {
    if (!this.described.has(name)) this.lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
    this.described.add(name);
    const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escapeLabel(text)}"`);
    this.lines.push(`${name}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${value}`);
    return this;
  }
}

function escapeLabel(text: string): string {
  return text.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n');
}
