// What a terminal would show for a stream of bytes: lines of coloured text, with what was overwritten gone.
// Nothing here touches the page but `paint`, which writes text nodes only: a log can never become HTML.

const COLUMNS = 10_000; // characters shown of one line; the rest is counted and left out
const REACH = 500; // lines above the newest that the cursor can still go back to
const SEQUENCE = 512; // characters after which something that looked like an escape sequence is none
const NEWLINE = 10;

const PLAIN = Object.freeze({ fg: null, bg: null, bold: false, dim: false, italic: false, underline: false, inverse: false, strike: false, hidden: false });

/** One line as it is shown. `offset` and `end` are bytes of the log, `number` its line, `cut` the characters left out. */
class Row {
  constructor(number, offset, headless = false) {
    // headless: the line began before `offset`; skipped: bytes of the line after `end` that were never read
    Object.assign(this, { number, offset, headless, end: Infinity, skipped: 0, runs: [], length: 0, cut: 0, element: null });
  }

  get text() {
    return this.runs.map((run) => run.text).join("");
  }

  /** Writes text over whatever is at the column; returns the column after it. */
  put(column, text, style) {
    if (column === 0) this.cut = 0;
    const room = COLUMNS - column;
    if (text.length > room) {
      this.cut += text.length - Math.max(0, room);
      text = text.slice(0, Math.max(0, room));
    }
    if (!text) return column;
    if (column > this.length) this.#append(" ".repeat(column - this.length), PLAIN);
    if (column === this.length) this.#append(text, style);
    else this.#replace(column, text, style);
    return column + text.length;
  }

  #append(text, style) {
    const last = this.runs.at(-1);
    if (last && last.style === style) last.text += text;
    else this.runs.push({ text, style });
    this.length += text.length;
  }

  #replace(column, text, style) {
    const rest = this.#slice(column + text.length, this.length);
    this.erase(column, this.length);
    this.#append(text, style);
    for (const run of rest) this.#append(run.text, run.style);
  }

  #slice(from, to) {
    const found = [];
    let start = 0;
    for (const { text, style } of this.runs) {
      const part = text.slice(Math.max(0, from - start), Math.max(0, to - start));
      if (part) found.push({ text: part, style });
      start += text.length;
    }
    return found;
  }

  /** Empties columns; what stands after them stays where it is. */
  erase(from, to) {
    const rest = to < this.length ? this.#slice(to, this.length) : [];
    this.runs = this.#slice(0, from);
    this.length = Math.min(this.length, from);
    if (!rest.length) {
      this.cut = 0;
      return;
    }
    this.#append(" ".repeat(to - this.length), PLAIN);
    for (const run of rest) this.#append(run.text, run.style);
  }
}

/**
 * Reads bytes, wherever they are cut, and keeps the lines that they show.
 * `flush()` hands over what is new and what has changed since it was asked last.
 */
export class Terminal {
  constructor({ offset = 0, line = 1, headless = false } = {}) {
    this.offset = offset; // of the next byte
    this.line = line; // that the next byte belongs to
    this.rows = [new Row(line, offset, headless)];
    this.created = [this.rows[0]];
    this.changed = new Set();
    this.row = 0;
    this.column = 0;
    this.style = PLAIN;
    this.state = "text";
    this.sequence = "";
    this.decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  }

  write(bytes) {
    let start = 0;
    while (start < bytes.length) {
      const newline = bytes.indexOf(NEWLINE, start);
      const end = newline < 0 ? bytes.length : newline;
      // At a newline the decoder is emptied, so that an unfinished character cannot eat the next line's first.
      this.#read(this.decoder.decode(bytes.subarray(start, end), { stream: newline < 0 }));
      this.offset += end - start;
      if (newline >= 0) this.#newline();
      start = end + 1;
    }
  }

  flush() {
    const { created, changed } = this;
    for (const row of created) changed.delete(row);
    this.created = [];
    this.changed = new Set();
    return { created, changed };
  }

  #newline() {
    this.offset += 1;
    this.line += 1;
    this.column = 0;
    if (this.state === "string") this.state = "text"; // an unfinished title must not swallow the log
    if (this.row < this.rows.length - 1) {
      this.row += 1;
      return;
    }
    this.rows.at(-1).end = this.offset;
    const row = new Row(this.line, this.offset);
    this.rows.push(row);
    this.created.push(row);
    if (this.rows.length > 2 * REACH) this.rows.splice(0, REACH);
    this.row = this.rows.length - 1;
  }

  /** Text without newlines, where escape sequences may begin and end anywhere. */
  #read(text) {
    let at = 0;
    while (at < text.length) at = this.state === "text" ? this.#text(text, at) : this.#escape(text, at);
  }

  #text(text, at) {
    CONTROL.lastIndex = at;
    const found = CONTROL.exec(text);
    const end = found ? found.index : text.length;
    if (end > at) this.#put(text.slice(at, end));
    if (found) this.#control(found[0]);
    return end + 1;
  }

  #put(text) {
    const row = this.rows[this.row];
    this.column = row.put(this.column, text, this.style);
    this.changed.add(row);
  }

  #control(character) {
    if (character === "\x1b") [this.state, this.sequence] = ["escape", ""];
    else if (character === "\r") this.column = 0;
    else if (character === "\b") this.column = Math.max(0, this.column - 1);
    else if (character === "\t") this.#tab();
    else if (character !== "\x07") this.#put(visible(character));
  }

  #tab() {
    const next = Math.min(COLUMNS, (Math.floor(this.column / 8) + 1) * 8);
    const row = this.rows[this.row];
    if (next > row.length) row.put(row.length, " ".repeat(next - row.length), this.style);
    this.column = next;
    this.changed.add(row);
  }

  #escape(text, at) {
    const character = text[at];
    if (this.state === "escape") this.#introduce(character);
    else if (this.state === "designate") this.state = "text";
    else if (this.state === "csi") return this.#csi(character, at);
    else this.#string(character);
    return at + 1;
  }

  #introduce(character) {
    if (character === "[") this.state = "csi";
    else if ("]PX^_".includes(character)) this.state = "string";
    else if ("()*+#%".includes(character)) this.state = "designate";
    else this.state = character === "\x1b" ? "escape" : "text"; // a short sequence, of which none is for a log
    this.sequence = "";
  }

  #csi(character, at) {
    if (character >= "@" && character <= "~") {
      this.state = "text";
      this.#command(character, this.sequence);
    } else if (character < " " || character > "~" || this.sequence.length > SEQUENCE) {
      this.state = "text"; // no sequence after all: go on with this character
      return at;
    } else this.sequence += character;
    return at + 1;
  }

  /** Titles, links and the like: swallowed up to their end, ESC \ or BEL. */
  #string(character) {
    if (character === "\x07" || character === "\x9c" || this.sequence.length > 8 * SEQUENCE) this.state = "text";
    else if (character === "\x1b") this.state = "designate"; // swallows the \ too
    else this.sequence += character;
  }

  #command(name, parameters) {
    if (/[<-?!-/]/.test(parameters)) return; // private modes
    const numbers = parameters.split(/[;:]/).map((one) => Number.parseInt(one || "0", 10));
    const count = Math.min(COLUMNS, Math.max(1, numbers[0]));
    if (name === "m") this.style = restyled(this.style, numbers);
    else if (name === "K") this.#eraseLine(numbers[0]);
    else if (name === "J") this.#eraseBelow(numbers[0]);
    else if (name === "A" || name === "F") this.row = Math.max(0, this.row - count);
    else if (name === "B" || name === "E") this.row = Math.min(this.rows.length - 1, this.row + count);
    else if (name === "C") this.column = Math.min(COLUMNS, this.column + count);
    else if (name === "D") this.column = Math.max(0, this.column - count);
    else if (name === "G") this.column = count - 1;
    if (name === "E" || name === "F") this.column = 0;
  }

  #eraseLine(mode) {
    const row = this.rows[this.row];
    if (mode === 0) row.erase(this.column, row.length);
    else if (mode === 1) row.erase(0, this.column + 1);
    else if (mode === 2) row.erase(0, row.length);
    this.changed.add(row);
  }

  /** From the cursor to the end. Clearing the whole screen keeps what was written: this is a log. */
  #eraseBelow(mode) {
    if (mode !== 0) return;
    this.#eraseLine(0);
    for (const row of this.rows.slice(this.row + 1)) {
      row.erase(0, row.length);
      this.changed.add(row);
    }
  }
}

const CONTROL = /[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

/** A sign for a character that would be invisible, or would turn the line's direction round. */
function visible(character) {
  const code = character.codePointAt(0);
  if (code < 32) return String.fromCodePoint(0x2400 + code);
  return code === 127 ? "\u2421" : "\ufffd";
}

const SWITCHES = {
  1: { bold: true }, 2: { dim: true }, 3: { italic: true }, 4: { underline: true }, 7: { inverse: true }, 8: { hidden: true }, 9: { strike: true },
  21: { underline: true }, 22: { bold: false, dim: false }, 23: { italic: false }, 24: { underline: false }, 27: { inverse: false },
  28: { hidden: false }, 29: { strike: false }, 39: { fg: null }, 49: { bg: null },
};

const styles = new Map(); // the same object for the same look: runs are joined by identity

function restyled(style, numbers) {
  const next = { ...style };
  for (let at = 0; at < numbers.length; at += 1) {
    const code = numbers[at];
    if (code === 0) Object.assign(next, PLAIN);
    else if (code === 38 || code === 48) at += extended(next, code === 38 ? "fg" : "bg", numbers.slice(at + 1));
    else if (code >= 30 && code <= 37) next.fg = code - 30;
    else if (code >= 40 && code <= 47) next.bg = code - 40;
    else if (code >= 90 && code <= 97) next.fg = code - 82;
    else if (code >= 100 && code <= 107) next.bg = code - 92;
    else Object.assign(next, SWITCHES[code]);
  }
  const key = JSON.stringify(next);
  if (key === JSON.stringify(PLAIN)) return PLAIN;
  if (!styles.has(key)) {
    if (styles.size > 4096) styles.clear();
    styles.set(key, next);
  }
  return styles.get(key);
}

/** A colour of 256 (5;n) or a true one (2;r;g;b): a number below 16, or a CSS colour. Answers how many numbers it took. */
function extended(style, place, [kind, ...values]) {
  if (kind === 5) {
    const color = values[0] ?? 0;
    if (color >= 0 && color < 256) style[place] = color < 16 ? color : of256(color);
    return 2;
  }
  if (kind === 2 && values.length >= 3) style[place] = rgb(values.slice(0, 3));
  return kind === 2 ? 4 : 1;
}

const rgb = (parts) => `rgb(${parts.map((part) => Math.min(255, Math.max(0, part || 0))).join(" ")})`;

function of256(color) {
  if (color >= 232) return rgb(Array(3).fill(8 + 10 * (color - 232)));
  const level = (step) => (step ? 55 + 40 * step : 0);
  const cube = color - 16;
  return rgb([Math.floor(cube / 36), Math.floor(cube / 6) % 6, cube % 6].map(level));
}

/** Fills an element with a row's text: text nodes, classes, and colours that are no class. */
export function paint(element, row) {
  element.replaceChildren(...row.runs.map(({ text, style }) => (style === PLAIN ? document.createTextNode(text) : span(text, style))));
}

function span(text, style) {
  const element = document.createElement("span");
  element.textContent = text;
  // Black on a ground is meant to be dark on bright, as an inverse is.
  const dark = style.inverse || (style.fg === 0 && style.bg !== null);
  const [fg, bg] = style.inverse ? [style.bg ?? "page", style.fg ?? "text"] : [dark ? "page" : style.fg, style.bg];
  if (dark) element.classList.add("t-inverse");
  color(element, "fg", fg, "color");
  color(element, "bg", bg, "backgroundColor");
  for (const name of ["bold", "dim", "italic", "underline", "strike", "hidden"]) if (style[name]) element.classList.add(`t-${name}`);
  return element;
}

function color(element, place, value, property) {
  if (value === null) return;
  if (typeof value === "string" && value.startsWith("rgb")) element.style[property] = value;
  else element.classList.add(`t-${place}-${value}`);
}
