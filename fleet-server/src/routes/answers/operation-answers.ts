import { Type } from '@sinclair/typebox';
import { QuietTime, RULE_KINDS, RuleName, SEVERITIES } from '../../alerts/rule.js';
import { Selector } from '../../devices/selector.js';
import { pageOf } from '../paging.js';
import {
  type Answers,
  At,
  answer,
  Count,
  Document,
  Flag,
  gone,
  listOf,
  oneOf,
  orNull,
  Text,
  underApi,
} from './parts.js';

const Severity = oneOf(SEVERITIES);
const RuleKind = oneOf(Object.keys(RULE_KINDS));
const Alert = Type.Object({
  ...{ id: Count, rule: Text, kind: Text, severity: Severity, subject: Text, state: Text, text: Text },
  ...{ detail: Type.Unknown(), since: At, raisedAt: orNull(At), clearedAt: orNull(At), notices: Count },
  acknowledged: orNull(Type.Object({ at: At, by: orNull(Text), note: orNull(Text) })),
});
const Rule = Type.Object({
  ...{ name: RuleName, kind: RuleKind, selector: Selector, threshold: orNull(Type.Number()), minutes: Type.Number() },
  ...{ severity: Severity, channels: Type.Array(Text), quiet: orNull(QuietTime), enabled: Flag },
  ...{ repeatMinutes: orNull(Count), updatedAt: At, updatedBy: Text },
});
const Figure = Type.Object({
  ...{ unit: Text, default: Type.Number(), minimum: Type.Number(), maximum: Type.Number() },
});
const KindOfRule = Type.Object({
  ...{ kind: RuleKind, about: Text, subject: Text },
  ...{ threshold: Type.Optional(Figure), minutes: Type.Optional(Figure) },
});
const channel = {
  ...{ name: Text, type: oneOf(['webhook', 'email', 'mqtt']), settings: Document, events: Type.Array(Text) },
  ...{ enabled: Flag, createdAt: At, updatedAt: At, failingSince: orNull(At), failures: Count },
  secrets: Type.Array(Text, { description: 'which it has; never what they are' }),
  ...{ disabledAt: orNull(At), disabledReason: orNull(Text) },
};
const Channel = Type.Object(channel);
const ChannelMade = Type.Object({
  ...channel,
  signingKey: Type.Optional(Type.String({ description: 'of a webhook, where it was made just now; shown once' })),
});
const delivery = {
  ...{ id: Count, channel: Text, kind: Text, state: oneOf(['pending', 'delivered', 'failed']), attempts: Count },
  ...{ createdAt: At, doneAt: orNull(At), nextAt: orNull(At), replayOf: orNull(Count), log: Type.Array(Document) },
};
const Delivery = Type.Object(delivery);
const Key = Type.Object({ keyid: Text, here: Flag, state: oneOf(['present', 'coming', 'leaving']) });
const Trust = Type.Object({
  roles: Type.Array(
    Type.Object({
      ...{ role: Text, version: orNull(Count), expires: orNull(At), threshold: Count, keys: Type.Array(Key) },
    }),
  ),
  staged: Type.Array(
    Type.Object({
      ...{ role: Text, version: Count, missing: Count, signedBy: Type.Array(Text), signers: Type.Array(Text) },
    }),
  ),
  warnings: Type.Array(Text),
});
const StagedRole = Type.Object({
  ...{ signed: Document, signatures: Type.Array(Document), signers: Type.Array(Document) },
  previous: Type.Object({ signed: Document, signatures: Type.Array(Document) }),
});
const Staged = Type.Object({ root: Type.Optional(StagedRole), targets: Type.Optional(StagedRole) });
const counted = (name: string) => Type.Array(Type.Object({ [name]: Text, count: Count }));
const Overview = Type.Object({
  version: Text,
  devices: Type.Array(
    Type.Object({ state: oneOf(['online', 'offline', 'revoked']), hardwareClass: Text, count: Count }),
  ),
  releases: counted('release'),
  rollouts: counted('state'),
  alerts: counted('severity'),
  deliveriesPending: Count,
});
const Health = Type.Object({ ok: Flag });

export const OPERATION_ANSWERS: Answers = {
  'GET /': { produces: 'text/html', summary: 'Page for people' },
  'GET /health': { ...answer(Health, 200, 503), summary: 'Is this server well? 503: its database does not answer' },
  'GET /metrics': { produces: 'text/plain' },
  'GET /openapi.json': { ...answer(Document), summary: 'This document' },
  'GET /tuf/:file': answer(Type.Object({ signed: Document, signatures: Type.Array(Document) })),
  ...underApi({
    'GET /tuf': answer(Trust),
    'GET /tuf/staged': answer(Staged),
    'POST /tuf/signatures': answer(Trust),
    'GET /alerts': answer(pageOf(Alert)),
    'POST /alerts/:id/acknowledge': answer(Alert),
    'GET /alert-rule-kinds': answer(listOf(KindOfRule)),
    'GET /alert-rules': answer(listOf(Rule)),
    'GET /alert-rules/:name': answer(Rule),
    'PUT /alert-rules/:name': answer(Rule),
    'DELETE /alert-rules/:name': gone,
    'GET /channels': answer(listOf(Channel)),
    'GET /channels/:name': answer(Channel),
    'PUT /channels/:name': answer(ChannelMade),
    'DELETE /channels/:name': gone,
    'POST /channels/:name/test': answer(Delivery, 202),
    'GET /deliveries': answer(pageOf(Delivery)),
    'GET /deliveries/:id': answer(Type.Object({ ...delivery, body: Document })),
    'POST /deliveries/:id/replay': answer(Delivery, 202),
    'GET /backup': { produces: 'application/gzip' },
    'GET /overview': answer(Overview),
  }),
};
