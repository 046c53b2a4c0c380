// Functions that run in the page and record what it does. They get no other names than
// their arguments. "Drawn" is when the main thread has finished a frame.

/** Records when the first rows of a list are drawn, and when all are. */
export function recordDraws(count) {
  globalThis.draws = {};
  const afterFrame = (name) => {
    globalThis.draws[name] = undefined;
    requestAnimationFrame(() => {
      const channel = new MessageChannel();
      channel.port1.onmessage = () => (globalThis.draws[name] = performance.now());
      channel.port2.postMessage(0);
    });
  };
  const rows = document.getElementsByClassName('select');
  new MutationObserver(() => {
    if (rows.length > 0 && !('first' in globalThis.draws)) afterFrame('first');
    if (rows.length >= count && !('all' in globalThis.draws)) afterFrame('all');
  }).observe(document, { subtree: true, childList: true });
}

/** Searches, and returns the time until the result is on the page, in milliseconds. */
export async function timeSearch({ text, isRegex, result }) {
  const input = document.querySelector('input[aria-label="Search the log"]');
  const option = document.querySelector('button[aria-label="Regular expression"]');
  const count = document.querySelector('.search .count');
  const until = (expected) =>
    new Promise((resolve) => {
      const look = () => {
        if (count.textContent !== expected) return;
        observer.disconnect();
        resolve();
      };
      const observer = new MutationObserver(look);
      observer.observe(count, { characterData: true, childList: true, subtree: true });
      look();
    });
  const type = (value) => {
    input.value = value;
    input.dispatchEvent(new InputEvent('input', { bubbles: true }));
  };
  type('');
  await until('');
  if ((option.getAttribute('aria-pressed') === 'true') !== isRegex) option.click();
  await new Promise((resolve) => setTimeout(resolve, 200));
  const begun = performance.now();
  type(text);
  await until(result);
  return performance.now() - begun;
}

/** Records after each frame the time and the number of the last line that it shows. */
export function recordPaints() {
  globalThis.paints = [];
  const rows = document.querySelector('.log .rows');
  let isPending = false;
  new MutationObserver(() => {
    if (isPending) return;
    isPending = true;
    requestAnimationFrame(() => {
      isPending = false;
      const number = /line=(\d+) /.exec(rows.lastElementChild?.textContent ?? '')?.[1];
      if (number === undefined) return;
      const channel = new MessageChannel();
      channel.port1.onmessage = () => globalThis.paints.push([Number(number), Date.now()]);
      channel.port2.postMessage(0);
    });
  }).observe(rows, { childList: true });
}

/** Scrolls for a time, and returns the times between the frames, in milliseconds. */
export function recordFrames(duration) {
  const log = document.querySelector('.log');
  log.scrollTop = log.scrollHeight / 2;
  return new Promise((resolve) => {
    const times = [];
    let [begun, last] = [0, 0];
    const step = (now) => {
      if (begun === 0) begun = now;
      else times.push(now - last);
      last = now;
      if (now - begun > duration) return resolve(times);
      log.scrollTop += 60;
      requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  });
}
