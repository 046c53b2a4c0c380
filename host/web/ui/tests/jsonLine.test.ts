import { expect, test } from 'vitest';
import { foldJson } from '../src/log/jsonLine';

test('a line of JSON becomes its message and its fields', () => {
  const folded = foldJson('{"level":"info","time":1,"msg":"listening","port":80,"host":"a b","tags":["x"]}');
  expect(folded?.text).toBe('listening  port=80 host="a b" tags=["x"]');
  expect(folded?.text.slice(folded.fieldsAt)).toBe('port=80 host="a b" tags=["x"]');
});

test('other lines stay as they are', () => {
  for (const line of ['plain', '{broken', '{"a":}', '[1,2]', '{}', '"text"', 'x {"a":1}', '{"level":"info"}']) {
    expect(foldJson(line)).toBeUndefined();
  }
});

test('what a line can make of its fields has limits', () => {
  const many = foldJson(JSON.stringify(Object.fromEntries(Array.from({ length: 500 }, (_, at) => [`k${at}`, at]))));
  expect(many?.text.split(' ')).toHaveLength(41);
  expect(many?.text.endsWith(' …')).toBe(true);
  const long = foldJson(JSON.stringify({ ['n'.repeat(500)]: 'v'.repeat(5000) }));
  expect(long?.text.length).toBeLessThan(400);
});

test('escape sequences in values neither color nor hide anything', () => {
  const folded = foldJson('{"msg":"a\\u001b[31mred","k\\u001b[0m":"\\u001b]0;t\\u0007x"}');
  expect(folded?.text).toBe('ared  k=x');
  expect(folded?.fieldsAt).toBe(6);
});

test('names of the prototype are fields like others', () => {
  expect(foldJson('{"__proto__":1,"constructor":"x"}')?.text).toBe('__proto__=1 constructor=x');
});
