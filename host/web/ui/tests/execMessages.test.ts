import { expect, test } from 'vitest';
import { binaryMessages, inputMessages, readExecMessage, shellPath, sizeMessage } from '../src/shell/execMessages';

const status = (value: unknown): string => {
  const bytes = new TextEncoder().encode(`\u0003${JSON.stringify(value)}`);
  const message = readExecMessage(bytes.buffer as ArrayBuffer);
  return message.type === 'exit' ? message.text : '';
};

test('input is sent on its channel, and a long paste in parts', () => {
  expect([...(inputMessages('ä')[0] ?? [])]).toEqual([0, 0xc3, 0xa4]);
  const parts = inputMessages('x'.repeat(100_000));
  expect(parts.map(({ length }) => length - 1)).toEqual([32768, 32768, 32768, 1696]);
  expect([...(binaryMessages('\u00ff')[0] ?? [])]).toEqual([0, 0xff]);
  expect(inputMessages('')).toEqual([]);
});

test('sizes are as Kubernetes has them', () => {
  const [channel, ...content] = sizeMessage(80, 24);
  expect(channel).toBe(4);
  expect(String.fromCharCode(...content)).toBe('{"Width":80,"Height":24}');
});

test('output and the end are told apart', () => {
  const output = readExecMessage(new Uint8Array([1, 104, 105]).buffer);
  expect(output).toEqual({ type: 'output', bytes: new Uint8Array([104, 105]) });
  expect(readExecMessage(new Uint8Array([9, 1]).buffer)).toEqual({ type: 'other' });
  expect(status({ status: 'Success' })).toBe('the shell has ended');
  const exit = (code: string): unknown => ({
    status: 'Failure', reason: 'NonZeroExitCode', details: { causes: [{ reason: 'ExitCode', message: code }] },
  });
  expect(status(exit('3'))).toBe('the shell has ended with exit code 3');
  expect(status(exit('127'))).toContain('there is no shell in this container');
  expect(status({ status: 'Failure', reason: 'InternalError', message: 'the engine is gone' })).toBe('the engine is gone');
});

test('the path names the container and no token', () => {
  const url = new URL(shellPath('a/b'), 'http://x');
  expect(url.pathname).toBe('/passthrough/engine/exec/a%2Fb');
  expect(url.searchParams.getAll('command')[0]).toBe('/bin/sh');
  expect([...url.searchParams.keys()].sort()).toEqual(['command', 'command', 'command', 'env', 'stdin', 'stdout', 'tty']);
});
