// What an attacker may try, in the real browser: scripts in names, labels, and lines;
// pages of other origins; links that were seen by others.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { rows, shot } from './helpers.mjs';
import { eventually, Testbed } from './testbed.mjs';

let bed;
before(async () => {
  bed = await Testbed.start();
});
after(() => bed.stop());

/** Texts that would run or change something if they became markup, a URL, or a style. */
function corpus() {
  const script = 'globalThis.attacked=1';
  const heads = [
    `<script>${script}</script>`, `<img src=x onerror=${script}>`, `<svg onload=${script}>`, `<svg/onload=${script}//`,
    `<iframe srcdoc="<script>parent.attacked=1</script>">`, `<body onload=${script}>`, `<details open ontoggle=${script}>`,
    `<a href="javascript:${script}">x</a>`, `<style>*{display:none}</style>`, `<link rel=stylesheet href=//evil.example>`,
    `<base href=//evil.example/>`, `<meta http-equiv=refresh content="0;url=//evil.example">`, `<object data=//evil.example>`,
    `<math><mtext><img src=x onerror=${script}>`, `<template><img src=x onerror=${script}></template>`,
    `<input autofocus onfocus=${script}>`, `<form action=//evil.example><button>x`, `javascript:${script}`,
    `data:text/html,<script>${script}</script>`, `{{constructor.constructor('${script}')()}}`, `\${${script}}`,
    `]]><img src=x onerror=${script}>`, `--><img src=x onerror=${script}>`, `" onmouseover="${script}`, `' autofocus onfocus='${script}`,
    `\`onerror=${script}\``, `&lt;img src=x onerror=${script}&gt;`, `<IMG SRC=x OnErRoR=${script}>`, `<img\tsrc=x\tonerror=${script}>`,
    `</span></div><img src=x onerror=${script}>`, `</textarea><img src=x onerror=${script}>`, `</title><img src=x onerror=${script}>`,
    `\u001b]8;;javascript:${script}\u0007link\u001b]8;;\u0007`, `\u001b[31m<img src=x onerror=${script}>\u001b[0m`,
    `\u202e<img src=x onerror=${script}>`, `{"msg":"<img src=x onerror=${script}>","<b>":"<script>${script}</script>"}`,
    `{"__proto__":{"attacked":1},"msg":"p"}`, `{"constructor":{"prototype":{"attacked":1}}}`, `<noscript><p title="</noscript><img src=x onerror=${script}>">`,
    `<svg><animate onbegin=${script} attributeName=x dur=1s>`,
  ];
  // Each also in the middle of a line, repeated, and with its characters doubled.
  return heads.flatMap((head) => [head, `INFO ${head} end`, `${head}${head}`, `${head}\r`, head.replaceAll('<', '<<')]);
}

test('no text of a log, a name, or a label becomes markup', async () => {
  const texts = corpus();
  assert.ok(texts.length >= 200);
  const evil = bed.engine.add('<img src=x onerror=globalThis.attacked=1>', {
    labels: { 'com.docker.compose.project': '<script>globalThis.attacked=1</script>', 'com.docker.compose.service': '"><svg onload=globalThis.attacked=1>' },
    ports: { '80/tcp': [{ HostIp: '', HostPort: '1;javascript:alert(1)' }] },
  });
  bed.engine.write(evil, texts);
  const page = await bed.open();
  await page.getByRole('link', { name: '<img src=x', exact: false }).first().waitFor();
  const clean = async (where) => {
    const found = await page.evaluate(() => ({
      attacked: globalThis.attacked ?? {}.attacked,
      nodes: [...document.querySelectorAll('#page :is(script, img, svg, iframe, style, object, link, base, meta, form, template, math)')].map((node) => node.outerHTML),
      handlers: [...document.querySelectorAll('#page *')].flatMap((node) => [...node.attributes].filter(({ name }) => name.startsWith('on'))).length,
      links: [...document.querySelectorAll('#page a')].map((link) => link.protocol).filter((protocol) => protocol !== 'http:'),
    }));
    assert.deepEqual(found, { attacked: undefined, nodes: [], handlers: 0, links: [] }, where);
  };
  await clean('list');
  await shot(page, 'evil-list');
  await page.getByRole('link', { name: 'Logs', exact: true }).click();
  await page.getByText(`${texts.length} lines`).waitFor();
  await page.keyboard.press('g');
  for (let at = 0; at < texts.length; at += 25) {
    await clean(`lines from ${at}`);
    await page.getByRole('log').press('PageDown');
  }
  await page.getByLabel('Search the log').fill('onerror');
  await page.locator('mark').first().waitFor();
  await clean('search');
  await page.getByLabel('Search the log').fill('<img src=x onerror=globalThis.attacked=1>');
  await clean('search with markup');
  await page.getByRole('button', { name: 'Fold JSON' }).click();
  await clean('whole');
  await eventually('the lines are drawn', async () => (await rows(page)).some((line) => line.includes('onerror')));
  assert.equal(page.urls.filter((url) => url.includes('evil.example')).length, 0);
  assert.deepEqual(page.problems, []);
  await page.context().close();
});

test('a page of another origin can neither frame the page, nor read it, nor open its sockets', async () => {
  const server = createServer((_, response) => response.setHeader('content-type', 'text/html').end('<!doctype html><p>other'));
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    const victim = await bed.open();
    const token = await eventually('there is a session', () => victim.evaluate(() => sessionStorage.getItem('rdd-session')));
    const other = await victim.context().newPage();
    await other.goto(`http://127.0.0.1:${server.address().port}/`);
    const origin = `http://127.0.0.1:${bed.port}`;
    const results = await other.evaluate(async ([target, stolen]) => {
      const encoded = btoa(stolen).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
      const socket = (path, protocols) => new Promise((resolve) => {
        const opened = new WebSocket(`${target.replace('http', 'ws')}${path}`, protocols);
        opened.onopen = () => resolve('open');
        opened.onerror = () => resolve('refused');
      });
      const read = (init) => fetch(`${target}/apis/containers.rancherdesktop.io/v1alpha1/containers`, init).then(() => 'read', () => 'refused');
      const bearer = `base64url.bearer.authorization.k8s.io.${encoded}`;
      const frame = document.createElement('iframe');
      frame.src = `${target}/ui/`;
      const loaded = new Promise((resolve) => (frame.onload = resolve));
      document.body.append(frame);
      await loaded;
      let framed;
      try {
        framed = frame.contentDocument === null ? 'refused' : frame.contentDocument.body.textContent;
      } catch {
        framed = 'refused';
      }
      return {
        // Even with the token, which it cannot have.
        logs: await socket('/passthrough/engine/logs', ['rdd.logs-mux.v1', bearer]),
        shell: await socket('/passthrough/engine/exec/x?command=sh', ['v5.channel.k8s.io', bearer]),
        cookies: await socket('/passthrough/engine/logs', ['rdd.logs-mux.v1']),
        list: await read({ headers: { authorization: `Bearer ${stolen}` } }),
        plain: await read({ credentials: 'include' }),
        framed,
        token: sessionStorage.getItem('rdd-session'),
      };
    }, [origin, token]);
    assert.deepEqual(results, {
      logs: 'refused', shell: 'refused', cookies: 'refused', list: 'refused', plain: 'refused', framed: 'refused', token: null,
    });
    // The frame has the browser's error page, and not ours.
    const frames = other.frames().filter((frame) => frame.url().startsWith(origin));
    for (const frame of frames) assert.equal(await frame.locator('#page').count(), 0);
    await victim.context().close();
  } finally {
    server.close();
  }
});

test('a name of somebody else that leads to this machine gets nothing', async () => {
  const page = await bed.open();
  await page.getByRole('heading', { name: 'Containers' }).waitFor({ state: 'attached' });
  const rebound = await page.context().newPage();
  const statusOf = async (path) => (await rebound.goto(`http://evil.example:${bed.port}${path}`)).status();
  for (const path of ['/', '/ui/', '/ui/page.js']) assert.equal(await statusOf(path), 403, path);
  // The policy of the refusal forbids requests as well.
  const signIn = () => fetch('/ui/session', { method: 'POST', body: '{"code":"x"}' }).then(({ status }) => status, () => 'refused');
  assert.ok([403, 'refused'].includes(await rebound.evaluate(signIn)));
  await page.context().close();
});

test('a link works once: who comes second learns it, and no address has a secret', async () => {
  const link = await bed.rdd('dashboard', '--print');
  const thief = await bed.open(link);
  await thief.getByRole('heading', { name: 'Containers' }).waitFor({ state: 'attached' });
  const owner = await bed.open(link);
  await owner.getByText('The link was used before').waitFor();
  await owner.getByText('rdd dashboard', { exact: true }).waitFor();
  assert.equal(await owner.evaluate(() => sessionStorage.length), 0);
  // The owner ends what the thief has.
  await bed.rdd('dashboard', '--revoke');
  await thief.getByText('The session has ended').waitFor();
  assert.equal(await thief.evaluate(() => sessionStorage.length), 0);
  await thief.context().close();
  await owner.context().close();

  const page = await bed.open();
  await page.getByRole('link', { name: 'Logs', exact: true }).first().click();
  await page.getByRole('log').waitFor();
  const token = await page.evaluate(() => sessionStorage.getItem('rdd-session'));
  const sockets = page.sockets.map((socket) => socket.url());
  await eventually('there was a socket', () => page.sockets.length > 0 || page.workers().length > 0);
  for (const url of [...page.urls, ...sockets, page.url()]) assert.ok(!url.includes(token) && !/code=/.test(url.split('#')[0]), url);
  assert.equal(await page.evaluate(() => `${document.cookie}${localStorage.length}`), '0');
  assert.ok(!bed.daemonLog().includes(token));
  await page.context().close();
});
