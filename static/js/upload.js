// Where files and folders are dropped: says what was chosen, sends it, and how far that is; goes on after a pause, a cut or a reload.

import { ofDrop, ofInput, withoutIgnored } from "./folder.js";
import { Sending, Unreadable } from "./sending.js";

const SHOWN = 100; // of what was left out
const WINDOW = 10; // seconds over which a rate is taken
const EVERY = 200; // milliseconds between two looks at how far it is
const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

const number = new Intl.NumberFormat("en");
const files = (count) => `${number.format(count)} ${count === 1 ? "file" : "files"}`;

/** As the server writes it: "1.4 MiB". */
function size(bytes) {
  let unit = 0;
  for (; bytes >= 1024 && unit < UNITS.length - 1; unit++) bytes /= 1024;
  return `${unit && bytes < 100 ? bytes.toFixed(1) : Math.round(bytes)} ${UNITS[unit]}`;
}

function span(seconds) {
  if (seconds < 60) return `${Math.max(1, Math.ceil(seconds))} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

/** Bytes in a second, over the last seconds. */
class Rate {
  constructor() { this.seen = []; }

  add(bytes) {
    const now = performance.now() / 1000;
    this.seen.push([now, bytes]);
    while (now - this.seen[0][0] > WINDOW) this.seen.shift();
    const [then, before] = this.seen[0];
    return now - then < 1 ? 0 : Math.max(0, bytes - before) / (now - then);
  }
}

class Place {
  constructor(root) {
    this.root = root;
    this.is = root.dataset;
    for (const button of root.querySelectorAll("[data-act]")) button.addEventListener("click", () => this[button.dataset.act]());
    for (const input of root.querySelectorAll("input[type=file]")) {
      input.addEventListener("change", () => {
        if (input.files.length) this.take(ofInput(input));
        input.value = "";
      });
    }
    this.listen();
    this.show("empty");
    // A version that comes by another way meanwhile shows itself: not in the place of what is chosen or under way here.
    root.closest("#datastore")?.addEventListener("htmx:beforeSwap", (event) => {
      if (event.target === event.currentTarget && this.state !== "empty") event.preventDefault();
    });
  }

  part(name) { return this.root.querySelector(`[data-part="${name}"]`); }

  /** One of the states: empty, looking, chosen, going, stopped. */
  show(state) {
    this.state = state;
    this.is.state = state;
    for (const one of this.root.querySelectorAll("[data-when]")) one.hidden = !one.dataset.when.split(" ").includes(state);
  }

  say(text) { this.part("status").textContent = text; }

  complain(text) {
    this.part("wrong").textContent = text;
    this.part("wrong").hidden = !text;
  }

  listen() {
    let inside = 0;
    const free = () => this.state === "empty" || this.state === "chosen";
    const over = (change) => () => {
      inside = Math.max(0, inside + change);
      this.root.classList.toggle("over", inside > 0 && free());
    };
    this.root.addEventListener("dragenter", over(1));
    this.root.addEventListener("dragleave", over(-1));
    // A file that is dropped beside its place would be opened, and the page with all that goes on would be gone.
    for (const name of ["dragover", "drop"]) document.addEventListener(name, (event) => event.preventDefault());
    this.root.addEventListener("drop", (event) => {
      inside = 0;
      this.root.classList.remove("over");
      if (free() && event.dataTransfer.types.includes("Files")) this.drop(event.dataTransfer);
    });
    window.addEventListener("beforeunload", (event) => { if (this.state === "going") event.preventDefault(); });
  }

  folders() { this.root.querySelector("input[webkitdirectory]").click(); }

  several() { this.root.querySelector("input[type=file]:not([webkitdirectory])").click(); }

  async drop(transfer) {
    let shown = 0;
    const looking = ofDrop(transfer, (chosen) => {
      if (performance.now() - shown < EVERY) return;
      shown = performance.now();
      this.part("looking").textContent = `Looking into the folder: ${files(chosen.files.length)}, ${size(chosen.bytes)} so far`;
    });
    this.show("looking");
    this.take(await looking);
  }

  async take(chosen) {
    this.show("looking");
    this.choose(await withoutIgnored(chosen));
  }

  choose(chosen) {
    this.chosen = chosen;
    this.complain("");
    this.show(chosen.files.length || chosen.leftOut.length ? "chosen" : "empty");
    if (this.state === "empty") return this.complain("There are no files in it.");
    const from = chosen.name ? ` from ${chosen.name}` : "";
    this.part("summary").textContent = `${files(chosen.files.length)}, ${size(chosen.bytes)}${from}`;
    this.list(chosen.leftOut);
    this.part("begin").disabled = !chosen.files.length;
    this.part("begin").focus();
  }

  list(leftOut) {
    const more = leftOut.length - SHOWN;
    this.part("left-out").hidden = !leftOut.length;
    this.part("left-out-count").textContent = `${number.format(leftOut.length)} left out`;
    this.part("left-out-list").replaceChildren(
      ...leftOut.slice(0, SHOWN).map(({ path, why }) => {
        const item = document.createElement("li");
        const name = Object.assign(document.createElement("code"), { textContent: path.replace(/[\u0000-\u001f\u007f-\u009f]/g, "\ufffd").slice(-200) });
        item.append(name, `: ${why}`);
        return item;
      }),
      ...(more > 0 ? [Object.assign(document.createElement("li"), { textContent: `and ${number.format(more)} more` })] : []),
    );
  }

  again() {
    this.sending = null;
    this.complain("");
    this.show("empty");
  }

  async begin() {
    const prefix = this.is.folder ? `${this.is.folder}/` : "";
    const known = new Map(this.sending?.files.map((one) => [one.file, one.sha256]));
    this.show("going");
    this.complain("");
    try {
      this.sending = new Sending({
        files: this.chosen.files.map(({ path, file }) => ({ path: prefix + path, file, sha256: known.get(file) ?? "" })),
        base: this.root.querySelector("[value=add]")?.checked ? await this.latest() : [],
        api: this.is.api, datastore: this.is.datastore, token: this.is.token, worker: this.is.worker,
        note: this.root.querySelector("[name=note]")?.value ?? "",
        told: (what) => this.hear(what),
      });
    } catch {
      this.show("chosen");
      return this.complain("The server does not say what the latest version has. Try again.");
    }
    this.go();
  }

  /** What the latest version consists of: lines of its manifest. */
  async latest() {
    const answer = await fetch(this.is.manifest);
    if (!answer.ok) throw new Error(answer.statusText);
    return (await answer.text()).split("\n").filter(Boolean).map((line) => JSON.parse(line));
  }

  async go() {
    this.show("going");
    this.complain("");
    this.rate = new Rate();
    try {
      const { isNew } = await this.sending.run();
      if (!isNew) return this.nothingNew();
      this.state = "done";
      location.assign(this.is.then);
    } catch (error) {
      if (this.state === "going") this.failed(error);
    }
  }

  nothingNew() {
    this.show("empty");
    this.complain("These are just the files of the latest version: there is no new one.");
  }

  failed(error) {
    if (error instanceof Unreadable) return this.lost(error.paths);
    this.show("stopped");
    this.say("");
    this.complain(error.message);
  }

  /** Some files changed or went away: they are left out, unless all is chosen again. */
  lost(paths) {
    const gone = new Set(paths);
    const prefix = this.is.folder ? this.is.folder.length + 1 : 0;
    for (const path of paths) this.chosen.leftOut.push({ path: path.slice(prefix), why: "it has changed or is gone since it was chosen" });
    this.chosen.files = this.chosen.files.filter(({ path }) => !gone.has((prefix ? `${this.is.folder}/` : "") + path));
    this.chosen.bytes = this.chosen.files.reduce((sum, one) => sum + one.file.size, 0);
    this.choose(this.chosen);
    this.complain(`${files(paths.length)} changed or went away since you chose them. Choose all again, or go on without them. What has arrived stays.`);
  }

  pause() {
    this.show("stopped");
    this.sending.stop();
    this.say("Paused. What has arrived stays.");
  }

  async cancel() {
    this.show("empty");
    await this.sending?.abandon().catch(() => {});
    if (this.root.querySelector(".upload-begun")) location.reload(); // it was one of those, perhaps
  }

  hear(what) {
    if (this.state !== "going") return;
    const now = performance.now();
    clearTimeout(this.later);
    if (what.phase === this.phase && now - this.shown < EVERY) {
      this.later = setTimeout(() => this.hear(what), EVERY); // the last of many is seen, too
      return;
    }
    if (what.phase !== this.phase) this.rate = new Rate();
    this.phase = what.phase;
    this.shown = now;
    if (what.phase === "waiting") return this.say(`${what.why}. Trying again in ${what.seconds} s; what has arrived stays.`);
    if (what.phase === "ending") return this.far(1, "Everything is there. The server looks it through");
    const { total } = what;
    const rate = this.rate.add(what.bytes);
    const left = rate && total.bytes > what.bytes ? `, ${size(rate)}/s, ${span((total.bytes - what.bytes) / rate)} left` : "";
    const verb = what.phase === "reading" ? "Read" : "Sent";
    const said = `${verb} ${number.format(what.files)} of ${files(total.files)}, ${size(what.bytes)} of ${size(total.bytes)}${left}`;
    this.far(total.bytes ? what.bytes / total.bytes : what.files / (total.files || 1), said);
  }

  far(part, text) {
    this.part("bar").value = part;
    this.say(text);
  }
}

for (const root of document.querySelectorAll("[data-uploader]")) new Place(root);
