import type { FastifyInstance } from 'fastify';
import { pagePolicy } from './page-policy.js';

/** A small page until the dashboard is built: one document, no request beyond the API, nothing inline but what its hashes allow. */
const STYLE = `
:root { color-scheme: light dark; --line: #d5d9df; --soft: #667080; --good: #1a7f45; --bad: #b3372f; --card: #fff; --page: #f4f6f8; --text: #18202a }
@media (prefers-color-scheme: dark) { :root { --line: #333b46; --soft: #96a1b0; --good: #4cc380; --bad: #ef7b72; --card: #1b2129; --page: #12161b; --text: #e6eaf0 } }
* { box-sizing: border-box }
body { margin: 0; background: var(--page); color: var(--text); font: 15px/1.5 system-ui, sans-serif }
main { max-width: 1080px; margin: 0 auto; padding: 28px 20px }
header { display: flex; align-items: baseline; gap: 12px; margin-bottom: 18px }
h1 { font-size: 22px; margin: 0 } h2 { font-size: 16px; margin: 0 0 8px }
#state { color: var(--soft); margin-left: auto }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 16px 18px; margin-bottom: 18px; overflow-x: auto }
table { border-collapse: collapse; width: 100% } th { text-align: left; font-weight: 500; color: var(--soft); font-size: 13px }
th, td { padding: 7px 14px 7px 0; border-top: 1px solid var(--line); white-space: nowrap } thead th { border-top: 0 }
code { font: 13px ui-monospace, monospace } .good { color: var(--good) } .bad { color: var(--bad) } .soft { color: var(--soft) }
form { display: flex; gap: 10px; flex-wrap: wrap; align-items: end } label { flex: 1 1 320px }
input { width: 100%; padding: 8px 10px; font: inherit; border: 1px solid var(--line); border-radius: 7px; background: var(--page); color: inherit }
button { padding: 8px 16px; font: inherit; border: 0; border-radius: 7px; background: #2b62c4; color: #fff; cursor: pointer }
[hidden] { display: none }
`;

const SCRIPT = `
'use strict';
const byId = (id) => document.getElementById(id);
const KEY = 'vigie.token';
function cell(text, kind) { const td = document.createElement('td'); td.textContent = text; if (kind) td.className = kind; return td; }
function fill(id, rows, empty) {
  const body = byId(id); body.replaceChildren();
  if (rows.length === 0) { const tr = document.createElement('tr'); const td = cell(empty, 'soft'); td.colSpan = 9; tr.append(td); body.append(tr); }
  for (const row of rows) { const tr = document.createElement('tr'); tr.append(...row); body.append(tr); }
}
const label = (release) => release ? release.name + '@' + release.version : '–';
const size = (bytes) => bytes < 1048576 ? (bytes / 1024).toFixed(0) + ' KiB' : (bytes / 1048576).toFixed(1) + ' MiB';
function showDevices(items) {
  fill('devices', items.map((d) => {
    const failed = d.reported && d.reported.error;
    const sync = d.inSync ? ['in sync', 'good'] : failed ? [d.reported.error.code, 'bad'] : d.desired ? ['pending', 'soft'] : ['–', 'soft'];
    return [cell(d.id), cell(d.hardwareClass, 'soft'), cell(d.presence.online ? 'online' : 'offline', d.presence.online ? 'good' : 'bad'),
      cell(d.desired ? label(d.desired.release) + ' · ' + d.desired.generation : '–'),
      cell(d.reported && d.reported.active ? label(d.reported.active.release) : '–'),
      cell(d.reported ? d.reported.phase : '–', 'soft'), cell(sync[0], sync[1])];
  }), 'No board is enrolled yet.');
}
function showReleases(items) {
  fill('releases', items.map((r) => [cell(label(r)), cell(r.precision), cell(size(r.bytes)),
    cell(r.state, r.state === 'released' ? 'good' : r.state === 'withdrawn' ? 'bad' : 'soft'), cell(r.certifiedBy || '–', 'soft'),
    cell(r.digest.slice(0, 12), 'soft'), cell(new Date(r.createdAt).toLocaleString(), 'soft')]), 'No release was uploaded yet.');
}
let timer = 0;
async function get(path) {
  const answer = await fetch(path, { headers: { authorization: 'Bearer ' + sessionStorage.getItem(KEY) } });
  if (answer.status === 401) { sessionStorage.removeItem(KEY); throw new Error('The token was refused.'); }
  if (!answer.ok) throw new Error('The server answered ' + answer.status + '.');
  return answer.json();
}
async function poll() {
  clearTimeout(timer);
  const known = sessionStorage.getItem(KEY) !== null;
  byId('login').hidden = known; byId('fleet').hidden = !known; byId('leave').hidden = !known;
  if (!known) return;
  try {
    const [devices, releases] = await Promise.all([get('/api/v1/devices'), get('/api/v1/releases')]);
    showDevices(devices.items); showReleases(releases.items);
    const online = devices.items.filter((d) => d.presence.online).length;
    byId('state').textContent = online + ' of ' + devices.items.length + ' online · ' + new Date().toLocaleTimeString();
  } catch (error) {
    byId('state').textContent = error.message;
    if (sessionStorage.getItem(KEY) === null) { byId('login').hidden = false; byId('fleet').hidden = true; byId('leave').hidden = true; return; }
  }
  timer = setTimeout(poll, 2000);
}
byId('login').addEventListener('submit', (event) => {
  event.preventDefault(); sessionStorage.setItem(KEY, byId('token').value.trim()); byId('token').value = ''; byId('state').textContent = ''; poll();
});
byId('leave').addEventListener('click', () => { sessionStorage.removeItem(KEY); byId('state').textContent = ''; poll(); });
poll();
`;

const PAGE = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Vigie fleet</title><link rel="icon" href="data:,"><style>${STYLE}</style></head>
<body><main>
<header><h1>Vigie fleet</h1><span id="state" role="status"></span><button id="leave" type="button" hidden>Sign out</button></header>
<section id="login-card"><form id="login"><label>Operator's token<br><input id="token" type="password" autocomplete="off" required></label><button>Show the fleet</button></form>
<div id="fleet" hidden>
<h2>Devices</h2><table><thead><tr><th>Device</th><th>Class</th><th>Presence</th><th>Desired · generation</th><th>Active</th><th>Phase</th><th>State</th></tr></thead><tbody id="devices"></tbody></table>
<br><h2>Releases</h2><table><thead><tr><th>Release</th><th>Precision</th><th>Size</th><th>State</th><th>Certified by</th><th>Digest</th><th>Uploaded</th></tr></thead><tbody id="releases"></tbody></table>
</div></section>
</main><script>${SCRIPT}</script></body></html>
`;

const POLICY = pagePolicy(STYLE, SCRIPT);

export function registerStatusPage(app: FastifyInstance): void {
  app.get('/', { schema: { summary: 'Status page' } }, async (_request, reply) =>
    reply.header('content-security-policy', POLICY).type('text/html; charset=utf-8').send(PAGE),
  );
}
