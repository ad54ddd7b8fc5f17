// The live log of an attempt: follows it over a WebSocket from a byte offset, loads older and newer parts when scrolled to, searches
// all of it on the server. The page holds a window of some thousand lines, however long the log is.

import { Terminal, paint } from "./terminal.js";

const WINDOW = 4000; // lines in the page at most
const PAGE = 1000; // lines of one page from the server
const TAIL = 64 * 1024; // bytes with which a log opens
const NEAR = 800; // pixels from an end of the window at which more is loaded
const MATCHES = 10_000; // matching lines that are counted
const RETRY = [250, 500, 1000, 2000, 4000]; // milliseconds before trying to connect again
const LOCKED_OUT = [4403, 4404];

const plural = (count, word) => `${count.toLocaleString()} ${word}${count === 1 ? "" : "s"}`;
const newlineAt = (bytes) => bytes.length > 0 && bytes[bytes.length - 1] === 10;

function make(name, className, text = "") {
  const element = document.createElement(name);
  element.className = className;
  element.textContent = text;
  return element;
}

const gapNote = (gap) =>
  gap.bytes === null
    ? "Some output may be missing here: the job and its runner died at once."
    : `${size(gap.bytes)} of output were dropped here: the log had reached its limit, or the disk was full.`;

function size(bytes) {
  if (bytes < 1024) return plural(bytes, "byte");
  const unit = ["KiB", "MiB", "GiB"].find((_, power) => bytes < 1024 ** (power + 2)) ?? "GiB";
  return `${(bytes / 1024 ** (["KiB", "MiB", "GiB"].indexOf(unit) + 1)).toFixed(1)} ${unit}`;
}

/** The rows in the page: makes, repaints and drops their elements, and says what is missing where. */
class Rows {
  constructor(view, list) {
    Object.assign(this, { view, list, all: [], gaps: [] });
  }

  get first() {
    return this.all[0];
  }

  get last() {
    return this.all.at(-1);
  }

  clear() {
    this.all = [];
    this.list.replaceChildren();
  }

  /** Adds rows at the end and drops from the beginning what is too much. Still: what the eye sees stays where it is. */
  append(rows, { still = true } = {}) {
    const surplus = Math.max(0, this.all.length + rows.length - WINDOW);
    const dropped = this.all.splice(0, surplus);
    const before = still && dropped.length ? this.view.scrollHeight : 0;
    for (const row of dropped) this.#drop(row);
    if (before) this.view.scrollTop -= before - this.view.scrollHeight;
    const kept = rows.slice(Math.max(0, surplus - dropped.length));
    this.all.push(...kept);
    if (this.all.length) this.view.style.setProperty("--digits", Math.max(4, String(this.last.number).length));
    this.list.append(...kept.map((row) => this.#element(row)));
  }

  /** Adds rows at the beginning without a jump; answers the rows that it dropped from the end. */
  prepend(rows) {
    const before = this.view.scrollHeight;
    this.all.unshift(...rows);
    this.list.prepend(...rows.map((row) => this.#element(row)));
    this.view.scrollTop += this.view.scrollHeight - before;
    return this.trimEnd(WINDOW);
  }

  trimEnd(length) {
    const dropped = this.all.splice(length);
    for (const row of dropped) this.#drop(row);
    return dropped;
  }

  repaint(rows) {
    for (const row of rows) if (row.element) this.#fill(row);
  }

  /** Where bytes were dropped at the log's limit: [{offset, bytes}]. */
  tellGaps(gaps) {
    this.gaps = gaps;
    this.repaint(this.all.filter((row) => this.#gapsIn(row).length));
  }

  /** The row in which a line is shown; the one before it where a later line was written over it. */
  ofLine(line) {
    if (!this.all.length || line < this.first.number) return null;
    return this.all.findLast((row) => row.number <= line);
  }

  /** The rows that can be seen now. */
  visible() {
    const { top, bottom } = this.view.getBoundingClientRect();
    let low = 0;
    let high = this.all.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.all[middle].element.getBoundingClientRect().bottom < top) low = middle + 1;
      else high = middle;
    }
    let end = low;
    while (end < this.all.length && this.all[end].element.getBoundingClientRect().top <= bottom) end += 1;
    return this.all.slice(low, end);
  }

  #element(row) {
    row.element = make("div", "log-row");
    const number = make("a", "log-number", String(row.number));
    number.href = `#L${row.number}`;
    number.tabIndex = -1;
    row.element.append(number, make("span", "log-text"));
    this.#fill(row);
    return row.element;
  }

  #fill(row) {
    const text = row.element.children[1];
    paint(text, row);
    for (const old of row.element.querySelectorAll(".log-note")) old.remove();
    for (const note of this.#notes(row)) row.element.append(make("span", "log-note", note));
  }

  #notes(row) {
    const notes = [];
    if (row.headless) notes.push("The beginning of this line is not shown here.");
    if (row.cut) notes.push(`${plural(row.cut, "more character")} of this line not shown; the raw log has them.`);
    if (row.skipped) notes.push(`${size(row.skipped)} more of this line not shown; the raw log has them.`);
    for (const gap of this.#gapsIn(row)) notes.push(gapNote(gap));
    return notes;
  }

  #gapsIn(row) {
    return this.gaps.filter((gap) => row.offset <= gap.offset && gap.offset < row.end);
  }

  #drop(row) {
    row.element.remove();
    row.element = null;
  }
}

/** The WebSocket: connects, and connects again where it was cut off; tells its owner what comes. */
class Line {
  constructor(address, owner) {
    Object.assign(this, { address, owner, asks: 0, fails: 0, socket: null, waiting: 0 });
    addEventListener("online", () => this.hurry());
    document.addEventListener("visibilitychange", () => document.hidden || this.hurry());
  }

  open() {
    clearTimeout(this.waiting);
    this.waiting = 0;
    this.asks = 0;
    const wanted = this.owner.wanted();
    const url = new URL(`${this.address}?offset=${wanted ?? "none"}`, location.href);
    url.protocol = url.protocol.replace("http", "ws");
    const socket = new WebSocket(url);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => socket === this.socket && this.owner.wanted() !== wanted && this.ask();
    socket.onmessage = (event) => socket === this.socket && this.#heard(event.data);
    socket.onclose = (event) => socket === this.socket && this.#closed(event.code);
    this.socket = socket;
  }

  /** Asks for what its owner now wants; once it is open, where it is not yet. What is still on its way is not listened to. */
  ask() {
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    this.asks += 1;
    this.socket.send(JSON.stringify({ offset: this.owner.wanted(), ask: this.asks }));
  }

  hurry() {
    if (this.waiting) this.open();
  }

  #heard(data) {
    if (typeof data !== "string") {
      if (this.current) this.owner.bytes(new Uint8Array(data));
      return;
    }
    const message = JSON.parse(data);
    if (message.type === "hello") this.fails = 0;
    if (message.type === "hello" && message.ask !== this.asks) return;
    this.current = message.type === "hello" || this.current;
    this.owner.told(message);
  }

  get current() {
    return this.listening === this.asks;
  }

  set current(yes) {
    this.listening = yes ? this.asks : -1;
  }

  #closed(code) {
    this.current = false;
    if (LOCKED_OUT.includes(code)) return this.owner.lockedOut();
    const pause = RETRY[Math.min(this.fails, RETRY.length - 1)];
    this.fails += 1;
    this.owner.disconnected(pause);
    this.waiting = setTimeout(() => this.open(), pause * (0.75 + Math.random() / 2));
  }
}

/** Search through the whole log, on the server, some part of it after the other. */
class Search {
  constructor(url, changed) {
    Object.assign(this, { url, changed, query: "", matches: [], next: 0, done: true, at: -1 });
  }

  /** Starts anew; resolves when something was found, or all was looked at. */
  async start(query) {
    this.abort?.abort();
    Object.assign(this, { query, matches: [], next: 0, done: !query, at: -1 });
    this.changed();
    if (query) await this.#scan();
  }

  async #scan() {
    const abort = new AbortController();
    this.abort = abort;
    let first;
    const found = new Promise((resolve) => (first = resolve));
    const scanning = this.#parts(abort.signal, first).catch((error) => error.name === "AbortError" || console.error(error));
    await Promise.race([found, scanning]);
  }

  async #parts(signal, first) {
    this.done = false;
    while (!this.done && this.matches.length < MATCHES) {
      const parameters = new URLSearchParams({ q: this.query, from: this.next });
      const answer = await fetch(`${this.url}?${parameters}`, { signal });
      if (!answer.ok) throw new Error(`search: ${answer.status}`);
      const part = await answer.json();
      const seen = this.matches.at(-1)?.line ?? 0;
      this.matches.push(...part.matches.filter((match) => match.line > seen));
      Object.assign(this, { next: part.next, done: part.done });
      if (this.matches.length) first();
      this.changed();
    }
  }

  /** The next match in a direction, from a line on when none was shown yet; null when there is none. */
  async step(direction, line) {
    if (direction > 0 && this.at === this.matches.length - 1 && this.done && this.query) await this.#scan(); // the log may have grown
    if (!this.matches.length) return null;
    const from = this.matches.findIndex((match) => match.line >= line);
    if (this.at < 0) this.at = from >= 0 ? from : this.done ? this.matches.length - 1 : 0;
    else this.at = (this.at + direction + this.matches.length) % this.matches.length;
    this.changed();
    return this.matches[this.at];
  }

  get words() {
    if (!this.query) return "";
    const more = this.done ? "" : this.matches.length >= MATCHES ? "+" : "…";
    if (!this.matches.length) return this.done ? "Not found" : "Searching…";
    const all = `${this.matches.length.toLocaleString()}${more}`;
    return this.at < 0 ? plural(this.matches.length, "line") + more : `${(this.at + 1).toLocaleString()} of ${all}`;
  }
}

class LogView {
  constructor(root) {
    this.root = root;
    this.view = root.querySelector("[data-log-view]");
    this.rows = new Rows(this.view, root.querySelector("[data-log-rows]"));
    this.line = new Line(root.dataset.socket, this);
    this.search = new Search(root.dataset.search, () => this.showSearch());
    Object.assign(this, { terminal: null, following: true, aim: null, below: null, loading: null, logSize: 0, end: null, state: null, scrolled: 0, frame: 0 });
    this.bind();
    this.begin();
  }

  part(name) {
    return this.root.querySelector(`[data-log-${name}]`);
  }

  async begin() {
    const line = lineOf(location.hash);
    if (line) await this.show(line).catch(() => this.follow(true));
    else this.follow(true);
    this.line.open();
  }

  // What comes over the line

  /** The offset to go on from: exactly where the terminal stands; null while the end of the log is out of the window. */
  wanted() {
    if (this.below !== null) return null;
    return this.terminal ? this.terminal.offset : -TAIL;
  }

  told(message) {
    if (message.type === "hello") this.hello(message);
    else if (message.type === "end") this.ended(message);
    else if (message.type === "state") this.state = message;
    this.showEmpty();
  }

  hello({ offset, line, begins, size: bytes }) {
    this.logSize = bytes;
    if (!this.end) this.say("live", "Live");
    else this.ended(this.end);
    if (offset === null || (this.terminal && this.terminal.offset === offset)) return;
    this.rows.clear();
    this.terminal = new Terminal({ offset, line, headless: !begins });
    this.draw();
  }

  bytes(data) {
    if (!this.terminal) return;
    this.terminal.write(data);
    this.logSize = Math.max(this.logSize, this.terminal.offset);
    if (this.terminal.created.length > 4 * WINDOW) this.draw();
    else this.schedule();
  }

  ended(end) {
    this.end = end;
    if (this.frame) this.draw(); // what it is said of is there
    this.rows.tellGaps(end.gaps ?? []);
    const dropped = (end.gaps ?? []).reduce((sum, gap) => sum + gap.bytes, 0);
    const limit = dropped ? `; ${size(dropped)} were dropped, as is said where` : "";
    const cut = (end.gaps ?? []).some((gap) => gap.bytes === null);
    if (end.verified && cut) this.say("missing", `${plural(end.lines, "line")} are verified; some at the end may be missing, as the job and its runner died at once${limit}`);
    else if (end.verified) this.say("verified", `Complete and verified, ${plural(end.lines, "line")}${limit}`);
    else if (end.missing) this.say("missing", `Incomplete: ${size(end.missing)} are missing at the end, ${plural(end.lines, "line")} are here${limit}`);
    else if (end.complete) this.say("missing", `Not verified: the checksum of the log differs from what the job wrote, ${plural(end.lines, "line")}${limit}`);
    else this.say("missing", `Not verified: the job's host has not confirmed the end of the log, ${plural(end.lines, "line")} are here`);
    this.showEmpty();
  }

  disconnected(pause) {
    const retry = pause < 1000 ? "" : ` Trying again in ${Math.round(pause / 1000)} s.`;
    this.say("offline", `Not connected to the server.${retry}`);
  }

  lockedOut() {
    this.rows.clear();
    this.terminal = null;
    this.locked = true;
    this.root.classList.add("locked");
    this.say("offline", "You no longer have access to this log.");
  }

  say(kind, words) {
    const status = this.part("status");
    if (status.textContent !== words) status.textContent = words;
    status.dataset.kind = kind;
  }

  showEmpty() {
    const element = this.part("empty");
    element.hidden = this.logSize > 0 || this.locked || !(this.end || this.state);
    if (element.hidden) return;
    if (this.end) element.textContent = this.printedNothing();
    else if (this.state?.state === "queued") element.textContent = "The log begins when the job starts.";
    else element.textContent = "Nothing printed yet.";
  }

  printedNothing() {
    const { written } = this.root.dataset;
    const said = "This attempt printed nothing. Where its command sends its output to a file (command > file), the output is in that file";
    return written ? `${said}, perhaps in a volume: ${written}.` : `${said}.`;
  }

  // Drawing

  schedule() {
    if (this.frame) return;
    // A hidden page draws no frames; its log must not pile up.
    this.frame = document.hidden ? setTimeout(() => this.draw(), 500) : requestAnimationFrame(() => this.draw());
  }

  draw() {
    this.frame = 0;
    if (!this.terminal) return;
    const { created, changed } = this.terminal.flush();
    if (this.following || this.rows.all.length + created.length <= WINDOW) this.rows.append(created, { still: !this.following });
    else this.leaveEnd(created);
    this.rows.repaint(changed);
    this.showEmpty();
    if (this.following) this.toBottom();
    this.mark();
    this.fill();
  }

  /** The window is full while somebody reads further up: the end is let go, and read again when it is scrolled to. */
  leaveEnd(created) {
    const room = Math.max(0, WINDOW - this.rows.all.length);
    this.rows.append(created.slice(0, room));
    this.detach(created[room]);
  }

  detach(row) {
    this.below = row.offset;
    this.terminal = null;
    this.line.ask();
  }

  toBottom() {
    this.view.scrollTop = this.view.scrollHeight;
    this.scrolled = this.view.scrollTop;
  }

  // Moving

  follow(on) {
    this.following = on;
    this.part("follow").setAttribute("aria-pressed", String(on));
    if (!on) return;
    this.aim = null;
    this.current(null);
    if (this.below !== null) {
      this.below = null;
      this.terminal = null;
      this.line.ask();
    } else this.toBottom();
  }

  onScroll() {
    const { scrollTop, scrollHeight, clientHeight } = this.view;
    const atBottom = scrollHeight - scrollTop - clientHeight < 4;
    if (scrollTop < this.scrolled - 1 && !atBottom && this.following) this.follow(false);
    if (atBottom && scrollTop > this.scrolled && this.terminal && !this.following) this.follow(true);
    this.scrolled = scrollTop;
    this.fill();
    this.mark();
  }

  /** Loads what is near. */
  fill() {
    const { scrollTop, scrollHeight, clientHeight } = this.view;
    const arriving = this.following && this.terminal?.offset < this.logSize;
    if (this.loading || this.locked || arriving || !this.rows.all.length) return;
    const older = this.following ? scrollHeight <= clientHeight : scrollTop < NEAR; // who follows wants a full view at least
    if (older && this.rows.first.offset > 0) this.load(() => this.loadOlder());
    else if (this.below !== null && scrollHeight - scrollTop - clientHeight < NEAR) this.load(() => this.loadNewer());
  }

  load(work) {
    this.loading = work().catch((error) => console.error(error)).then(() => {
      this.loading = null;
      requestAnimationFrame(() => this.fill());
    });
    return this.loading;
  }

  async page(parameters) {
    const answer = await fetch(`${this.root.dataset.page}?${new URLSearchParams({ lines: PAGE, ...parameters })}`);
    if (!answer.ok) throw new Error(`page: ${answer.status}`);
    const header = (name) => Number(answer.headers.get(`X-Log-${name}`));
    const data = new Uint8Array(await answer.arrayBuffer());
    this.logSize = header("Size");
    const terminal = new Terminal({ offset: header("Offset"), line: header("Line") });
    terminal.write(data);
    return { terminal, data, offset: header("Offset"), line: header("Line"), next: header("Next"), size: header("Size") };
  }

  async loadOlder() {
    const { rows: { first }, following } = this;
    const { terminal, data, next } = await this.page({ before: first.offset });
    if (this.rows.first !== first || this.following !== following) return;
    const { created } = terminal.flush();
    if (newlineAt(data)) created.pop();
    else Object.assign(created.at(-1), { end: next, skipped: first.offset - next });
    first.headless &&= next < first.offset;
    this.rows.repaint([first]);
    const dropped = this.rows.prepend(created);
    if (this.following) this.toBottom();
    if (dropped.length) this.detach(dropped[0]);
  }

  async loadNewer() {
    const from = this.below;
    const page = await this.page({ offset: from });
    if (this.below !== from) return;
    this.addPage(page);
  }

  /** Adds a page at the end of the window; where it reaches the log's end, the live log goes on from there. */
  addPage({ terminal, data, next, size: bytes, line }) {
    const { created, changed } = terminal.flush();
    if (next >= bytes) {
      this.terminal = terminal;
      this.below = null;
      this.rows.append(created);
      this.line.ask();
      return;
    }
    if (newlineAt(data)) created.pop();
    this.rows.append(created);
    this.rows.repaint(changed);
    this.below = next;
    if (!newlineAt(data)) return this.skipLine(created.at(-1), line, next);
  }

  /** One line is longer than a page: its rest is left out. */
  async skipLine(row, line, next) {
    const after = await this.page({ line: line + 1 });
    if (this.below !== next) return;
    row.end = next;
    row.skipped = after.offset - next;
    this.rows.repaint([row]);
    this.addPage(after);
  }

  /** Brings a line into view, and marks it. */
  async show(line) {
    this.follow(false);
    this.aim = line;
    if (!this.rows.ofLine(line) || (line > this.rows.last.number && this.below !== null)) await this.open(line);
    if (this.aim !== line) return; // something else was asked for meanwhile
    const row = this.rows.ofLine(line);
    if (!row) return;
    this.current(row);
    this.bring(row, (this.view.clientHeight - row.element.offsetHeight) / 2);
  }

  /** Scrolls the log, and nothing around it, until the row is so many pixels below its top. */
  bring(row, below) {
    this.view.scrollTop += row.element.getBoundingClientRect().top - this.view.getBoundingClientRect().top - Math.max(0, below);
    this.scrolled = this.view.scrollTop;
  }

  /** Fills the window around a line. */
  async open(line) {
    while (this.loading) await this.loading;
    const page = await this.page({ line: Math.max(1, line - PAGE / 2) });
    if (this.aim !== line) return;
    this.rows.clear();
    this.terminal = null;
    this.below = page.offset;
    this.line.ask();
    await this.addPage(page);
  }

  current(row) {
    this.root.querySelector(".log-row.current")?.classList.remove("current");
    row?.element?.classList.add("current");
  }

  // Search

  async find(query, direction) {
    if (query !== this.search.query) await this.search.start(query);
    const [top] = this.rows.visible();
    const match = await this.search.step(direction, top?.number ?? 1);
    if (match) await this.show(match.line);
    this.mark();
  }

  showSearch() {
    this.part("count").textContent = this.search.words;
    for (const name of ["previous", "next"]) this.part(name).hidden = !this.search.query;
  }

  /** Lights up the words looked for in what can be seen. */
  mark() {
    if (!globalThis.CSS?.highlights || typeof Highlight === "undefined") return;
    const query = this.search.query;
    if (!query) return CSS.highlights.delete("log-match");
    const exact = query !== query.toLowerCase();
    const ranges = this.rows.visible().flatMap((row) => rangesIn(row.element.children[1], query, exact));
    CSS.highlights.set("log-match", new Highlight(...ranges));
  }

  // Hands

  bind() {
    this.view.addEventListener("scroll", () => this.onScroll(), { passive: true });
    this.part("follow").addEventListener("click", () => this.follow(!this.following));
    this.part("wrap").addEventListener("click", () => this.wrap(this.part("wrap").getAttribute("aria-pressed") !== "true"));
    this.part("search").addEventListener("submit", (event) => this.searched(event, 1));
    this.part("previous").addEventListener("click", (event) => this.searched(event, -1));
    this.part("search").addEventListener("keydown", (event) => this.searchKey(event));
    this.view.addEventListener("keydown", (event) => this.viewKey(event));
    document.addEventListener("keydown", (event) => this.pageKey(event));
    addEventListener("hashchange", () => lineOf(location.hash) && this.show(lineOf(location.hash)));
    new ResizeObserver(() => this.following && this.toBottom()).observe(this.view);
    if (localStorage.getItem("log-wrap") === "no") this.wrap(false);
  }

  wrap(on) {
    this.part("wrap").setAttribute("aria-pressed", String(on));
    const [top] = this.rows.visible();
    this.view.classList.toggle("wrap", on);
    if (this.following) this.toBottom();
    else if (top) this.bring(top, 0);
    localStorage.setItem("log-wrap", on ? "yes" : "no");
  }

  searched(event, direction) {
    event.preventDefault();
    this.find(this.part("search").elements.q.value.trim(), direction).catch((error) => console.error(error));
  }

  searchKey(event) {
    if (event.key === "Enter" && event.shiftKey) this.searched(event, -1);
    if (event.key !== "Escape") return;
    this.part("search").elements.q.value = "";
    this.search.start("");
    this.mark();
    this.view.focus();
  }

  viewKey(event) {
    if (event.key !== "Home" && event.key !== "End") return;
    event.preventDefault();
    if (event.key === "End") this.follow(true);
    else this.show(1).then(() => this.aim === 1 && (this.view.scrollTop = 0));
  }

  pageKey(event) {
    const typing = event.target.matches("input, select, textarea, [contenteditable]") || event.target.closest("dialog, [popover]");
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "f") this.follow(!this.following);
    if (event.key !== "/") return;
    event.preventDefault();
    this.part("search").elements.q.select();
    this.part("search").elements.q.focus();
  }
}

/** The line that an address names: #L120. */
function lineOf(hash) {
  return Number(/^#L(\d{1,12})$/.exec(hash)?.[1] ?? 0);
}

/** Every place in an element's text where the query stands, across its coloured parts. */
function rangesIn(element, query, exact) {
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  const nodes = [];
  let length = 0;
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    nodes.push({ node, start: length });
    length += node.length;
  }
  const text = exact ? element.textContent : element.textContent.toLowerCase();
  if (text.length !== length) return []; // lower case of another length
  const point = (at) => nodes.findLast(({ start }) => start <= at);
  const ranges = [];
  for (let at = text.indexOf(query); at >= 0 && ranges.length < 100; at = text.indexOf(query, at + query.length)) {
    const range = document.createRange();
    const [from, to] = [point(at), point(at + query.length - 1)];
    range.setStart(from.node, at - from.start);
    range.setEnd(to.node, at + query.length - to.start);
    ranges.push(range);
  }
  return ranges;
}

for (const root of document.querySelectorAll("[data-log]")) new LogView(root);
