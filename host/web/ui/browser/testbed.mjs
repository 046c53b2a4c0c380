// A daemon, an engine, and a browser for a test of the page.

import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { chromium } from 'playwright-core';
import { createFileRelay } from './builtFiles.mjs';
import { FakeEngine } from './fakeEngine.mjs';

const PROGRAM = process.env.RDD_PROGRAM ?? '';
const PLUGINS = process.env.RDD_TEST_PLUGINS ?? join(dirname(PROGRAM), 'plugins');
// Files that take the place of those in the program, for work on the page alone.
const DIST = process.env.RDD_TEST_PAGE;
// Compiled backends of earlier runs, which take a while to compile.
const CACHE = join(import.meta.dirname, '../node_modules/.cache/rdd-plugin-cache');
const START_LIMIT = 120_000;
// Machines that do other work as well take long for a page.
const PAGE_LIMIT = 90_000;

export class Testbed {
  /**
   * Starts everything. Without `endpoint`, the engine is one of the test's own; `args`
   * are further ones of the daemon, and without `hasPlugins` it has no backend.
   */
  static async start({ endpoint, args = [], hasPlugins = true } = {}) {
    const bed = new Testbed();
    bed.args = args;
    bed.dir = mkdtempSync(join(tmpdir(), 'rdd-page-'));
    bed.state = join(bed.dir, 'state');
    bed.log = join(bed.dir, 'log');
    bed.engine = new FakeEngine(join(bed.dir, 'engine.sock'));
    bed.endpoint = endpoint ?? `unix://${bed.engine.socket}`;
    if (endpoint === undefined) await bed.engine.start();
    mkdirSync(bed.state, { mode: 0o700 });
    if (existsSync(CACHE)) cpSync(CACHE, bed.#cache, { recursive: true });
    bed.plugins = hasPlugins ? PLUGINS : join(bed.dir, 'no-plugins');
    if (!hasPlugins) mkdirSync(bed.plugins);
    await bed.startDaemon();
    await bed.#startRelay();
    bed.browser = await chromium.launch({
      executablePath: process.env.RDD_TEST_CHROMIUM ?? '/usr/bin/chromium',
      args: [
        '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
        '--disable-background-networking', '--disable-component-update', '--disable-sync',
        // The address of the page stays what it is, and its connections can be cut.
        // A name of somebody else leads to this machine.
        `--host-resolver-rules=MAP 127.0.0.1:${bed.port} 127.0.0.1:${bed.relay.address().port},MAP evil.example 127.0.0.1`,
      ],
    });
    return bed;
  }

  get #cache() {
    return join(this.state, 'plugin-cache');
  }

  async startDaemon() {
    const log = openSync(this.log, 'a');
    this.daemon = spawn(
      PROGRAM,
      [
        'serve', '--state-dir', this.state, '--plugin-dir', this.plugins,
        '--engine-endpoint', this.endpoint, '--log', 'debug', ...this.args,
      ],
      { stdio: ['ignore', log, log] },
    );
    const deadline = Date.now() + START_LIMIT;
    while (!existsSync(join(this.state, 'kubeconfig'))) {
      if (this.daemon.exitCode !== null || Date.now() > deadline) {
        throw new Error(`the daemon did not start:\n${this.daemonLog()}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** Relays connections from the browser to the daemon. */
  async #startRelay() {
    this.port = Number(new URL(await this.rdd('dashboard', '--print')).port);
    this.sockets = new Set();
    this.relay = DIST === undefined ? createServer((browser) => this.#relay(browser)) : createFileRelay(this.port, DIST);
    this.relay.on('connection', (browser) => {
      this.sockets.add(browser);
      browser.on('close', () => this.sockets.delete(browser));
    });
    await new Promise((resolve) => this.relay.listen(0, '127.0.0.1', resolve));
  }

  #relay(browser) {
    const daemon = connect(this.port, '127.0.0.1');
    const end = () => {
      browser.destroy();
      daemon.destroy();
    };
    for (const socket of [browser, daemon]) socket.on('error', end).on('close', end);
    browser.pipe(daemon).pipe(browser);
  }

  /** Cuts all connections of the browser, and returns how many there were. */
  cut() {
    const count = this.sockets.size;
    for (const socket of this.sockets) socket.destroy();
    return count;
  }

  /** Cuts all connections, and accepts none until the returned function is called. */
  block() {
    const { port } = this.relay.address();
    this.relay.close();
    this.cut();
    return () => new Promise((resolve) => this.relay.listen(port, '127.0.0.1', resolve));
  }

  daemonLog() {
    return readFileSync(this.log, 'utf8');
  }

  async stopDaemon() {
    const exited = once(this.daemon, 'exit');
    this.daemon.kill('SIGTERM');
    await exited;
  }

  async rdd(...args) {
    const { stdout } = await promisify(execFile)(PROGRAM, ['--state-dir', this.state, ...args]);
    return stdout.trim();
  }

  /** Opens a page in a context of its own, and collects what must not happen. */
  async open(link, options = {}) {
    const context = await this.browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
    context.setDefaultTimeout(PAGE_LIMIT);
    const page = await context.newPage();
    page.problems = [];
    page.urls = [];
    page.sockets = [];
    page.on('websocket', (socket) => page.sockets.push(socket));
    page.on('pageerror', (error) => page.problems.push(String(error)));
    page.on('console', (message) => {
      // Failed requests are part of some tests; policies and exceptions are not.
      if (message.type() === 'error' && !/Failed to load resource|WebSocket connection/.test(message.text())) {
        page.problems.push(message.text());
      }
    });
    page.on('request', (request) => page.urls.push(request.url()));
    await page.goto(link ?? (await this.rdd('dashboard', '--print')));
    return page;
  }

  async stop() {
    await this.browser?.close();
    if (this.daemon.exitCode === null) await this.stopDaemon();
    await this.engine.stop().catch(() => undefined);
    this.cut();
    this.relay.close();
    if (existsSync(this.#cache)) cpSync(this.#cache, CACHE, { recursive: true });
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** Waits until a function returns something true. */
export async function eventually(what, check, limit = PAGE_LIMIT) {
  const deadline = Date.now() + limit;
  let last;
  for (;;) {
    last = await check();
    if (last) return last;
    if (Date.now() > deadline) throw new Error(`not true within ${limit} ms: ${what} (${last})`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
