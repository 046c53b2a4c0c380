// The scrolling list of lines. It shows a window of what the worker has, and knows
// nothing of the rest but its length. Lists of the framework would build what only
// needs to be placed, twenty times a second.

import type { TimeMode } from '../format';
import { logRow } from './logRow';
import { contentHeight, lastCount, placeAt, ROW_HEIGHT, scrollTopOf, windowAt, type ScrollPlace } from './scrollModel';
import type { LineView, LogUpdate, ViewWindow } from './workerMessages';

// Longer names are cut; their whole text is in the tip.
const MAX_NAME = 24;

export interface PaneState {
  isFollowing: boolean;
  /** Lines that arrived since the pane stopped to follow. */
  newLines: number;
}

export interface LogPaneOptions {
  scroller: HTMLElement;
  onWindow(window: ViewWindow): void;
  onState(state: PaneState): void;
  /** Tells which line is marked. */
  onCurrent(line: LineView | undefined): void;
}

export class LogPane {
  readonly #options: LogPaneOptions;
  readonly #scroller: HTMLElement;
  readonly #layer = document.createElement('div');
  readonly #rows = document.createElement('div');
  readonly #spacer = document.createElement('div');
  readonly #resize: ResizeObserver;
  #elements = new Map<number, HTMLElement>();
  #drawn = new Map<number, string>();
  #update: LogUpdate | undefined;
  #sourceNames: string[] = [];
  #timeMode: TimeMode = 'local';
  #isFollowing = true;
  /** The number of lines that are shown while it does not follow. */
  #frozen = 0;
  #current = -1;
  /** Where to go as soon as the lines that a filter left are there. */
  #anchor: number | undefined;
  #shownCurrent: number | undefined;
  /** Where the pane itself scrolled to: its own events say nothing. */
  #expectedTop = 0;

  constructor(options: LogPaneOptions) {
    this.#options = options;
    this.#scroller = options.scroller;
    this.#layer.className = 'layer';
    this.#rows.className = 'rows';
    this.#layer.append(this.#rows);
    this.#scroller.replaceChildren(this.#layer, this.#spacer);
    this.#scroller.addEventListener('scroll', this.#onScroll, { passive: true });
    this.#scroller.addEventListener('click', this.#onClick);
    this.#resize = new ResizeObserver(() => {
      this.#request();
      this.#place();
    });
    this.#resize.observe(this.#scroller);
  }

  dispose(): void {
    this.#resize.disconnect();
    this.#scroller.removeEventListener('scroll', this.#onScroll);
    this.#scroller.removeEventListener('click', this.#onClick);
    this.#scroller.replaceChildren();
  }

  /** Shows what the worker reports. */
  show(update: LogUpdate): void {
    if (update.sources !== undefined) {
      this.#sourceNames = update.sources.map(({ name }) => name);
      const longest = Math.max(1, ...this.#sourceNames.map((name) => name.length));
      this.#rows.style.setProperty('--source-width', `${Math.min(MAX_NAME, longest)}ch`);
      this.redraw();
    }
    this.#update = update;
    if (this.#anchor !== undefined) {
      const position = Math.min(this.#anchor, update.total - 1);
      this.#anchor = undefined;
      this.#frozen = update.total;
      if (position >= 0) this.reveal(position);
    }
    if (this.#isFollowing) this.#frozen = update.total;
    this.#frozen = Math.min(this.#frozen, update.total);
    this.#place();
    this.#report();
  }

  setTimeMode(mode: TimeMode): void {
    this.#timeMode = mode;
    this.redraw();
    this.#place();
  }

  /** Places the lines again: their heights have changed. */
  relayout(): void {
    this.#request();
    this.#place();
  }

  /** Draws all lines anew at the next occasion: how they are drawn has changed. */
  redraw(): void {
    this.#elements.clear();
    this.#drawn.clear();
    this.#rows.replaceChildren();
  }

  /** Marks the line above or below the one that is marked, or the one in the middle. */
  step(by: 1 | -1): void {
    const total = this.#update?.total ?? 0;
    if (total === 0) return;
    const from = this.#current >= 0 ? this.#current + by : this.middle;
    this.reveal(Math.min(total - 1, Math.max(0, from)));
  }

  /** Shows what a filter left, around the position of the anchor if it has one. */
  refilter(position: number | undefined): void {
    this.#update = undefined;
    if (position === undefined) {
      this.follow(true);
      return;
    }
    this.#anchor = position;
    this.#request();
  }

  /** The ID of the line that stays where it is when a filter changes. */
  get anchor(): number | undefined {
    if (this.#isFollowing) return undefined;
    const at = this.#current >= 0 ? this.#current : this.middle;
    return this.#update?.lines.find(({ position }) => position >= at)?.id;
  }

  /** Goes to the last line and stays there, or stays at the lines that are shown. */
  follow(isFollowing: boolean): void {
    this.#isFollowing = isFollowing;
    const total = this.#update?.total ?? 0;
    if (isFollowing) {
      this.#frozen = total;
      this.#current = -1;
    }
    this.#request();
    this.#place();
    this.#report();
  }

  /** Shows a line in the middle, and marks it. */
  reveal(position: number): void {
    this.#isFollowing = false;
    this.#frozen = Math.max(this.#frozen, position + 1);
    this.#current = position;
    this.#resizeContent();
    this.#scrollTo(((position + 0.5) / Math.max(1, this.#frozen)) * this.#way());
    this.#request();
    this.#place();
    this.#report();
  }

  get current(): number {
    return this.#current;
  }

  /** The position of a line in the middle of what is visible. */
  get middle(): number {
    return Math.floor(this.#placeNow().line);
  }

  readonly #onClick = (event: MouseEvent): void => {
    const row = event.target instanceof Element && event.target.matches('.time') ? event.target.closest('.line') : null;
    if (!(row instanceof HTMLElement)) return;
    const line = this.#update?.lines.find(({ id }) => String(id) === row.dataset['id']);
    if (line === undefined) return;
    this.#isFollowing = false;
    this.#current = line.position;
    this.#scrollTo(this.#scroller.scrollTop);
    this.#place();
    this.#report();
  };

  #way(): number {
    const viewport = this.#scroller.clientHeight;
    return contentHeight(this.#frozen, viewport) - viewport;
  }

  readonly #onScroll = (): void => {
    const { scrollTop } = this.#scroller;
    if (Math.abs(scrollTop - this.#expectedTop) < 1) return;
    this.#expectedTop = scrollTop;
    const viewport = this.#scroller.clientHeight;
    const isAtEnd = this.#way() - scrollTop < 2;
    if (!isAtEnd) {
      this.#isFollowing = false;
    } else if (!this.#isFollowing) {
      const total = this.#update?.total ?? 0;
      if (total > this.#frozen) {
        // Goes on at the same line: what is new comes below it.
        const top = this.#frozen - viewport / ROW_HEIGHT;
        this.#frozen = total;
        this.#resizeContent();
        this.#scrollTo(scrollTopOf(top, total, viewport));
      } else {
        this.#isFollowing = true;
      }
    }
    this.#request();
    this.#place();
    this.#report();
  };

  #report(): void {
    this.#options.onState({
      isFollowing: this.#isFollowing,
      newLines: this.#isFollowing ? 0 : (this.#update?.total ?? 0) - this.#frozen,
    });
  }

  #placeNow(): ScrollPlace {
    const viewport = this.#scroller.clientHeight;
    if (this.#isFollowing) return { line: this.#frozen, y: viewport };
    return placeAt(this.#scroller.scrollTop, this.#frozen, viewport);
  }

  /** Asks the worker for the lines that are visible. */
  #request(): void {
    const viewport = this.#scroller.clientHeight;
    if (this.#isFollowing) this.#options.onWindow({ first: 'last', count: lastCount(viewport) });
    else this.#options.onWindow(windowAt(this.#placeNow(), viewport));
  }

  #scrollTo(top: number): void {
    this.#scroller.scrollTop = top;
    this.#expectedTop = this.#scroller.scrollTop;
  }

  #resizeContent(): void {
    const viewport = this.#scroller.clientHeight;
    this.#spacer.style.height = `${contentHeight(this.#frozen, viewport) - viewport}px`;
  }

  /** Draws the lines of the last update, and moves them to their place. */
  #place(): void {
    const update = this.#update;
    if (update === undefined) return;
    this.#resizeContent();
    const viewport = this.#scroller.clientHeight;
    if (this.#isFollowing) this.#scrollTo(this.#way());
    const visible = update.lines.filter(({ position }) => position < this.#frozen);
    this.#draw(visible);
    const current = visible.find(({ position }) => position === this.#current);
    if (current?.id !== this.#shownCurrent) {
      this.#shownCurrent = current?.id;
      this.#options.onCurrent(current);
    }
    const place = this.#placeNow();
    this.#rows.style.transform = `translateY(${this.#offset(visible, place, viewport)}px)`;
  }

  #offset(visible: readonly LineView[], place: ScrollPlace, viewport: number): number {
    const height = this.#rows.offsetHeight;
    // Fewer lines than fit are at the top.
    if (visible.length === this.#frozen && height <= viewport) return 0;
    const first = visible[0]?.position ?? 0;
    const index = Math.floor(place.line) - first;
    const row = this.#rows.children[index] as HTMLElement | undefined;
    if (row === undefined) return index < 0 ? place.y : place.y - height;
    const above = row.offsetTop + (place.line - Math.floor(place.line)) * row.offsetHeight;
    return place.y - above;
  }

  #draw(lines: readonly LineView[]): void {
    const options = { timeMode: this.#timeMode, sourceNames: this.#sourceNames, now: Date.now() };
    const elements = new Map<number, HTMLElement>();
    const drawn = new Map<number, string>();
    for (const line of lines) {
      const key = line.matches.join();
      const known = this.#drawn.get(line.id) === key ? this.#elements.get(line.id) : undefined;
      const row = known ?? logRow(line, options);
      row.classList.toggle('current', line.position === this.#current);
      elements.set(line.id, row);
      drawn.set(line.id, key);
    }
    // Elements that stay are not touched: they may be selected.
    for (const [id, row] of this.#elements) {
      if (elements.get(id) !== row) row.remove();
    }
    let next = this.#rows.firstChild;
    for (const row of elements.values()) {
      if (row === next) next = row.nextSibling;
      else this.#rows.insertBefore(row, next);
    }
    this.#elements = elements;
    this.#drawn = drawn;
  }
}
