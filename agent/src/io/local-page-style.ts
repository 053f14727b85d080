/** Style sheet of the board's own page. */
export const STYLE = `
:root { color-scheme: dark; --ground: #0b0f14; --card: #131a22; --line: #22303c; --text: #e6edf3; --dim: #8b9aa8;
  --accent: #4cc2ff; --good: #3ddc97; --warn: #ffb454; --bad: #ff6b6b; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--text); font: 15px/1.45 system-ui, "Segoe UI", Roboto, sans-serif; }
header { display: flex; align-items: center; gap: 12px; padding: 14px 22px; border-bottom: 1px solid var(--line); }
header svg { width: 26px; height: 26px; color: var(--accent); flex: none; }
h1 { font-size: 18px; margin: 0; letter-spacing: .02em; }
header .spacer { flex: 1; }
.pill { display: inline-flex; align-items: center; gap: 7px; padding: 3px 11px; border: 1px solid var(--line); border-radius: 99px;
  font-size: 13px; color: var(--dim); white-space: nowrap; }
.pill::before { content: ""; width: 8px; height: 8px; border-radius: 50%; background: var(--dim); }
.pill.good::before { background: var(--good); } .pill.warn::before { background: var(--warn); } .pill.bad::before { background: var(--bad); }
main { display: grid; grid-template-columns: minmax(0, 1fr) 360px; gap: 18px; padding: 18px 22px; max-width: 1500px; margin: 0 auto; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 16px 18px; }
.card h2 { margin: 0 0 10px; font-size: 12px; font-weight: 600; letter-spacing: .08em; text-transform: uppercase; color: var(--dim); }
.stage { position: relative; padding: 0; overflow: hidden; }
.stage img { display: block; width: 100%; aspect-ratio: 16 / 9; object-fit: contain; background: #05070a; }
.swap { position: absolute; inset: 14px 14px auto; padding: 11px 16px; border-radius: 10px; background: rgba(11, 32, 46, .92);
  border: 1px solid var(--accent); opacity: 0; transform: translateY(-8px); transition: .35s; pointer-events: none; }
.swap.shown { opacity: 1; transform: none; }
.figures { display: grid; grid-template-columns: repeat(4, 1fr); gap: 14px; margin-top: 18px; }
.figure b { display: block; font-size: 26px; font-weight: 600; font-variant-numeric: tabular-nums; line-height: 1.2; }
.figure b small { font-size: 14px; color: var(--dim); font-weight: 400; margin-left: 4px; }
.figure > span { color: var(--dim); font-size: 13px; }
#chart { margin-top: 18px; }
canvas { width: 100%; height: 64px; display: block; margin-top: 6px; }
aside { display: flex; flex-direction: column; gap: 18px; min-width: 0; }
.model { font-size: 19px; font-weight: 600; overflow-wrap: anywhere; }
.tag { display: inline-block; padding: 1px 9px; border-radius: 6px; background: #0e3a52; color: var(--accent); font-size: 13px;
  margin-right: 6px; }
dl { display: grid; grid-template-columns: auto 1fr; gap: 3px 14px; margin: 12px 0 0; font-size: 14px; }
dt { color: var(--dim); } dd { margin: 0; text-align: right; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
code { font: 13px ui-monospace, "DejaVu Sans Mono", monospace; }
ol { list-style: none; margin: 0; padding: 0; max-height: 46vh; overflow: auto; }
li { display: grid; grid-template-columns: 10px 1fr auto; gap: 10px; align-items: baseline; padding: 8px 0; border-top: 1px solid var(--line); }
li:first-child { border-top: 0; }
li i { width: 8px; height: 8px; border-radius: 50%; background: var(--good); align-self: center; }
li.ended i { background: var(--line); }
li p { margin: 0; } li small { color: var(--dim); } li time { color: var(--dim); font-size: 13px; font-variant-numeric: tabular-nums; }
.empty { color: var(--dim); margin: 4px 0; }
footer { padding: 4px 22px 22px; color: var(--dim); font-size: 13px; text-align: center; }
footer a { color: var(--dim); margin: 0 7px; }
@media (max-width: 980px) { main { grid-template-columns: 1fr; } .figures { grid-template-columns: repeat(2, 1fr); } header { flex-wrap: wrap; } }
`;
