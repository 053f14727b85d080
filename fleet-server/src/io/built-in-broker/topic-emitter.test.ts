import { Aedes } from 'aedes';
import { describe, expect, it } from 'vitest';
import { TopicEmitter } from './topic-emitter.js';

interface Message {
  topic: string;
}

const FILTERS = [
  'a/b',
  'a/b',
  'a/c',
  'a',
  '/a',
  'a/',
  'constructor',
  'a/+',
  '+',
  '+/+',
  '#',
  'a/#',
  'a/b/#',
  '$SYS/+/up',
];
const TOPICS = ['a/b', 'a/c', 'a', '/a', 'a/', 'a/b/c', 'constructor', 'b', '$SYS/1/up', 'ab', 'a//b'];

describe('TopicEmitter', () => {
  it('hands a topic to those to whom mqemitter hands it, of any filters and topics', async () => {
    const ours = new TopicEmitter<Message>();
    // What aedes makes for itself when it is given none.
    const theirs = (new Aedes() as unknown as { mq: TopicEmitter<Message> }).mq;
    const heard = { ours: [] as string[], theirs: [] as string[] };
    for (const [index, filter] of FILTERS.entries()) {
      const listener = (list: string[]) => (message: Message, done: () => void) => {
        list.push(`${index} ${filter} ${message.topic}`);
        done();
      };
      // aedes keeps its own topics from wildcards by itself; here the emitter does.
      const blocked = ['+', '+/+', '#'].includes(filter);
      ours.on(filter, listener(heard.ours));
      theirs.on(filter, (message: Message, done: () => void) =>
        blocked && message.topic.startsWith('$') ? done() : listener(heard.theirs)(message, done),
      );
    }
    for (const topic of TOPICS) {
      await new Promise<void>((resolve) => ours.emit({ topic }, () => resolve()));
      await new Promise<void>((resolve) => theirs.emit({ topic }, () => resolve()));
    }
    expect(heard.ours.length).toBeGreaterThan(20);
    expect(heard.ours.toSorted()).toEqual(heard.theirs.toSorted());
  });

  it('calls back when all took it, with the first error', async () => {
    const emitter = new TopicEmitter<Message>();
    const pending: ((error?: Error) => void)[] = [];
    for (const filter of ['t', 't', '#']) emitter.on(filter, (_message, done) => pending.push(done));
    const done: unknown[] = [];
    emitter.emit({ topic: 't' }, (error) => done.push(error));
    pending[0]();
    pending[1](new Error('first'));
    expect(done).toEqual([]);
    pending[2](new Error('second'));
    expect(done).toEqual([new Error('first')]);
    emitter.emit({ topic: 'other/topic' });
  });

  it('forgets one listener and keeps its like, also while a message is on its way', () => {
    const emitter = new TopicEmitter<Message>();
    const heard: string[] = [];
    const second = (_message: Message, done: () => void) => {
      heard.push('second');
      done();
    };
    emitter.on('t', (_message, done) => {
      heard.push('first');
      emitter.removeListener('t', second);
      done();
    });
    emitter.on('t', second);
    emitter.on('#', second);
    emitter.emit({ topic: 't' });
    expect(heard).toEqual(['first', 'second', 'second']);
    emitter.emit({ topic: 't' });
    expect(heard.slice(3)).toEqual(['first', 'second']);
    emitter.removeListener('#', second);
    emitter.emit({ topic: 't' });
    expect(heard.slice(5)).toEqual(['first']);
  });

  it('refuses what comes after its end', async () => {
    const emitter = new TopicEmitter<Message>();
    await new Promise<void>((resolve) => emitter.close(resolve));
    const failed: unknown[] = [];
    emitter.emit({ topic: 't' }, (error) => failed.push(error));
    expect(failed).toEqual([new Error('the broker is closed')]);
  });
});
