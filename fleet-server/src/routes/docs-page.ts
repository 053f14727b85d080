import type { FastifyInstance } from 'fastify';
import { pagePolicy } from './page-policy.js';

/** The API in a browser: made from `/openapi.json`, nothing from elsewhere, nothing inline but what its hashes allow. */
const STYLE = `
:root { color-scheme: light dark; --line: #d5d9df; --soft: #667080; --card: #fff; --page: #f4f6f8; --text: #18202a; --get: #1a7f45; --write: #2b62c4; --gone: #b3372f }
@media (prefers-color-scheme: dark) { :root { --line: #333b46; --soft: #96a1b0; --card: #1b2129; --page: #12161b; --text: #e6eaf0; --get: #4cc380; --write: #7aa7f5; --gone: #ef7b72 } }
* { box-sizing: border-box } body { margin: 0; background: var(--page); color: var(--text); font: 15px/1.5 system-ui, sans-serif }
main { max-width: 1000px; margin: 0 auto; padding: 28px 20px } h1 { font-size: 22px; margin: 0 } h2 { font-size: 16px; margin: 26px 0 8px }
header { display: flex; flex-wrap: wrap; gap: 12px; align-items: end; justify-content: space-between }
input { padding: 7px 9px; font: inherit; border: 1px solid var(--line); border-radius: 7px; background: var(--card); color: inherit }
button { padding: 6px 14px; font: inherit; border: 0; border-radius: 7px; background: #2b62c4; color: #fff; cursor: pointer }
details { background: var(--card); border: 1px solid var(--line); border-radius: 8px; margin: 6px 0; padding: 0 14px }
summary { cursor: pointer; padding: 8px 0; display: flex; gap: 12px; align-items: baseline; flex-wrap: wrap }
.method { font: 600 13px ui-monospace, monospace; width: 56px } .get { color: var(--get) } .post, .put, .patch { color: var(--write) } .delete { color: var(--gone) }
code, pre { font: 13px/1.45 ui-monospace, monospace } pre { overflow: auto; max-height: 340px; background: var(--page); padding: 10px; border-radius: 7px }
.soft { color: var(--soft) } table { border-collapse: collapse; margin: 6px 0 } td { padding: 4px 14px 4px 0; vertical-align: top } form { margin: 8px 0 12px }
`;

const SCRIPT = `
'use strict';
const make = (tag, text, kind) => { const e = document.createElement(tag); if (text !== undefined) e.textContent = text; if (kind) e.className = kind; return e; };
const token = document.getElementById('token');
const schemaText = (schema) => JSON.stringify(schema, null, 2);
function tryForm(path, operation) {
  const form = make('form'); const inputs = [];
  for (const p of operation.parameters.filter((p) => p.in !== 'header')) {
    const input = make('input'); input.placeholder = p.name; input.setAttribute('aria-label', p.name); input.required = p.required; inputs.push([p, input]); form.append(input, ' ');
  }
  form.append(make('button', 'Ask')); const out = make('pre'); out.hidden = true; form.append(out);
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    let url = path; const query = new URLSearchParams();
    for (const [p, input] of inputs) { if (p.in === 'path') url = url.replace('{' + p.name + '}', encodeURIComponent(input.value)); else if (input.value !== '') query.set(p.name, input.value); }
    if ([...query].length > 0) url += '?' + query;
    out.hidden = false; out.textContent = '…';
    try {
      const answer = await fetch(url, { headers: token.value === '' ? {} : { authorization: 'Bearer ' + token.value.trim() } });
      const text = await answer.text(); let shown = text;
      try { shown = JSON.stringify(JSON.parse(text), null, 2); } catch { /* not JSON */ }
      out.textContent = answer.status + ' ' + url + '\\n\\n' + shown.slice(0, 100000);
    } catch (error) { out.textContent = String(error); }
  });
  return form;
}
function show(path, method, operation) {
  const box = make('details'); const head = make('summary');
  head.append(make('span', method.toUpperCase(), 'method ' + method), make('code', path), make('span', operation.summary || '', 'soft')); box.append(head);
  const needs = operation['x-vigie-role'] ? 'role ' + operation['x-vigie-role'] : operation.security.length > 0 ? "a board's certificate" : 'open';
  box.append(make('p', needs + (operation['x-vigie-tls-only'] ? ', TLS only' : ''), 'soft'));
  if (operation.parameters.length > 0) {
    const rows = make('table');
    for (const p of operation.parameters) { const row = make('tr'); row.append(make('td', p.name + (p.required ? ' *' : '')), make('td', p.in, 'soft'), make('td', p.description || (p.schema && p.schema.description) || '')); const cell = make('td'); cell.append(make('code', JSON.stringify(p.schema))); row.append(cell); rows.append(row); }
    box.append(rows);
  }
  for (const [media, body] of Object.entries((operation.requestBody || {}).content || {})) box.append(make('p', 'Body: ' + media), make('pre', schemaText(body.schema)));
  for (const [status, answer] of Object.entries(operation.responses)) {
    const content = Object.entries(answer.content || {})[0];
    if (status.startsWith('2')) { box.append(make('p', status + (content ? ' ' + content[0] : ' without a body'))); if (content && Object.keys(content[1].schema).length > 0) box.append(make('pre', schemaText(content[1].schema))); }
  }
  if (method === 'get' && !('text/event-stream' in ((operation.responses[200] || {}).content || {}))) box.append(tryForm(path, operation));
  return box;
}
(async () => {
  const list = document.getElementById('list');
  const api = await (await fetch('/openapi.json')).json();
  document.getElementById('version').textContent = api.info.version;
  const groups = new Map();
  for (const [path, methods] of Object.entries(api.paths)) for (const [method, operation] of Object.entries(methods)) {
    const tag = operation.tags[0]; if (!groups.has(tag)) groups.set(tag, []); groups.get(tag).push(show(path, method, operation));
  }
  for (const tag of [...groups.keys()].sort()) list.append(make('h2', tag), ...groups.get(tag));
  list.append(make('h2', 'Codes of refusals'), make('pre', api.components.schemas.Problem.properties.code.enum.join('\\n')));
})();
`;

const PAGE = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Vigie API</title><link rel="icon" href="data:,"><style>${STYLE}</style></head>
<body><main><header><h1>Vigie API <span id="version" class="soft"></span></h1>
<label>Token, kept in this page only<br><input id="token" type="password" autocomplete="off" size="34"></label></header>
<p class="soft">Made from <a href="/openapi.json">/openapi.json</a>. With a token, or the login of this browser, GET requests can be tried here.</p>
<div id="list"></div></main><script>${SCRIPT}</script></body></html>
`;

const POLICY = pagePolicy(STYLE, SCRIPT);

export function registerDocsPage(app: FastifyInstance): void {
  app.get(
    '/docs',
    { schema: { summary: 'This document as a page', produces: 'text/html' }, config: { open: true } },
    async (_request, reply) =>
      reply.header('content-security-policy', POLICY).type('text/html; charset=utf-8').send(PAGE),
  );
}
