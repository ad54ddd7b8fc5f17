// Sends files to a datastore: reads their hashes, says the manifest, sends what the server lacks, and makes the version of it.
// It may be stopped at any moment and begun again: what has arrived stays, as the server knows an upload again by its manifest.

const SMALL = 2 ** 20; // bytes; files up to that go into packs
const PACK = 8 * 2 ** 20; // bytes that a pack holds at most
const PACK_FILES = 1000;
const HEAD = 40; // bytes before each content of a pack
const READ_AT_ONCE = 50; // files
const PIECE = 8 * 2 ** 20; // bytes of a large file that are sent at once
const AT_ONCE = 3; // requests
const READERS = Math.min(4, navigator.hardwareConcurrency || 2);
const ROUNDS = 3; // how often it is asked what is missing
const IN_VAIN = 3; // times that a piece may bring nothing
const LONGEST_WAIT = 30; // seconds between two tries
const PLAIN = 0o644; // the browser does not say which files are programs

/** The server's no: `problem` is what it says. */
export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail || "The server could not do this. Try again; if it stays so, tell who runs it.");
    this.status = status;
    this.problem = problem;
  }
}

/** Files cannot be read any more as they were when they were chosen. */
export class Unreadable extends Error {
  constructor(paths) {
    super("Some files cannot be read any more");
    this.paths = paths;
  }
}

class NoAnswer extends Error {}

const stopped = () => new DOMException("stopped", "AbortError");
const isWorthAnother = (error) => error instanceof NoAnswer || [429, 502, 503, 504].includes(error.status);

/** One request; XMLHttpRequest, as fetch does not say how much of a body has gone. */
function request(method, url, { body, headers = {}, signal, sent = () => {} }) {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(stopped());
    const xhr = new XMLHttpRequest();
    const abort = () => xhr.abort();
    signal.addEventListener("abort", abort);
    xhr.open(method, url);
    for (const [name, value] of Object.entries(headers)) xhr.setRequestHeader(name, value);
    xhr.upload.onprogress = (event) => sent(event.loaded);
    xhr.onabort = () => reject(stopped());
    xhr.onerror = () => reject(new NoAnswer("The server does not answer"));
    xhr.onload = () => {
      const kind = xhr.getResponseHeader("Content-Type") ?? "";
      const json = /[/+]json/.test(kind) && xhr.responseText; // lines of JSON (x-ndjson) stay a text
      const said = json ? JSON.parse(xhr.responseText) : xhr.responseText;
      if (xhr.status < 400) resolve({ status: xhr.status, said });
      else reject(new Refused(xhr.status, json ? said : {}));
    };
    xhr.onloadend = () => signal.removeEventListener("abort", abort);
    xhr.send(body);
  });
}

/** Works through all of `items` with so many workers beside each other; the first that fails ends it. */
async function together(items, workers, work) {
  const each = items[Symbol.iterator]();
  const run = async (worker) => { for (let next = each.next(); !next.done; next = each.next()) await work(next.value, worker); };
  await Promise.all(workers.map(run));
}

const key = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

/** One lot of files for one datastore.
 *
 *  files: [{path, file, sha256}], the hash "" where it is not known yet; base: lines of the manifest {path, sha256, size, mode} that stay beside them; api: where the API is, of the
 *  datastore; token: against forged requests; told(what): what is going on, of `phase` reading, sending or ending.
 */
export class Sending {
  constructor({ files, base, api, datastore, token, worker, note, told }) {
    Object.assign(this, { files, base, api, datastore, token, worker, note, told });
    this.upload = "";
  }

  get bytes() { return this.files.reduce((sum, one) => sum + one.file.size, 0); }

  stop() { this.stopping?.abort(); }

  /** Begins, or goes on; the version in the end. Raises Refused, Unreadable, AbortError. */
  async run() {
    this.stopping = new AbortController();
    try {
      return await this.all();
    } catch (error) {
      this.stop(); // what is still on its way beside what failed
      throw error;
    }
  }

  async all() {
    await this.hash();
    const { said } = await this.ask("POST", `/datastores/${this.datastore}/uploads`, { body: this.manifest(), type: "application/x-ndjson" });
    this.upload = said.id;
    this.key ??= key();
    for (let round = 1; ; round++) {
      if (said.missing || round > 1) await this.send();
      this.told({ phase: "ending" });
      try {
        const done = await this.ask("POST", `/uploads/${this.upload}/commit`, {
          body: JSON.stringify({ note: this.note }), type: "application/json", headers: { "Idempotency-Key": this.key },
        });
        return { version: done.said, isNew: done.status !== 200 };
      } catch (error) {
        if (error.problem?.code !== "incomplete" || round === ROUNDS) throw error;
        this.key = key();
      }
    }
  }

  /** Ends the upload on the server, too. */
  async abandon() {
    this.stop();
    if (!this.upload) return;
    this.stopping = new AbortController();
    await this.ask("DELETE", `/uploads/${this.upload}`, {});
  }

  // Hashes

  async hash() {
    const lacking = this.files.filter((one) => !one.sha256);
    const known = this.files.filter((one) => one.sha256);
    const gone = [];
    this.hashed = { files: known.length, bytes: known.reduce((sum, one) => sum + one.file.size, 0) };
    const total = { files: this.files.length, bytes: this.bytes };
    const tell = () => this.told({ phase: "reading", ...this.hashed, total });
    const workers = Array.from({ length: Math.min(READERS, lacking.length) }, () => new Worker(this.worker));
    try {
      await together(lacking, workers, async (one, worker) => {
        if (this.stopping.signal.aborted) throw stopped();
        const said = await this.read(worker, one.file, tell);
        if (said.sha256) {
          one.sha256 = said.sha256;
          this.hashed.files += 1;
        } else gone.push(one.path);
        tell();
      });
    } finally {
      for (const worker of workers) worker.terminate();
    }
    if (gone.length) throw new Unreadable(gone);
  }

  read(worker, file, tell) {
    return new Promise((resolve, reject) => {
      const stop = () => reject(stopped());
      this.stopping.signal.addEventListener("abort", stop, { once: true });
      worker.onmessage = ({ data }) => {
        if ("read" in data) {
          this.hashed.bytes += data.read;
          return tell();
        }
        this.stopping.signal.removeEventListener("abort", stop);
        resolve(data);
      };
      worker.onerror = () => reject(new Refused(0, { detail: "The browser could not begin to read. Reload the page." }));
      worker.postMessage({ file });
    });
  }

  manifest() {
    const before = new Map(this.base.map((one) => [one.path, one])); // browsers do not tell what is a program: it stays one
    const lines = this.files.map((one) => ({ path: one.path, sha256: one.sha256, size: one.file.size, mode: before.get(one.path)?.mode ?? PLAIN }));
    const replaced = new Set(this.files.map((one) => one.path));
    return [...this.base.filter((one) => !replaced.has(one.path)), ...lines].map((one) => `${JSON.stringify(one)}\n`).join("");
  }

  // What the server lacks

  async send() {
    const known = new Map(this.files.map((one) => [one.sha256, one]));
    const { said } = await this.ask("GET", `/uploads/${this.upload}/missing`, {});
    const lacking = said.split("\n").filter(Boolean).map((line) => JSON.parse(line)).filter((one) => known.has(one.sha256))
      
      .map((one) => ({ ...known.get(one.sha256), of: known.get(one.sha256), received: one.received }));
    this.total = { files: lacking.length, bytes: lacking.reduce((sum, one) => sum + one.file.size, 0) };
    this.sent = { files: 0, bytes: lacking.reduce((sum, one) => sum + one.received, 0) };
    this.under = new Map(); // of each request on its way, how much has gone
    this.tell();
    const large = lacking.filter((one) => one.file.size > SMALL).sort((a, b) => b.file.size - a.file.size);
    const work = [...large, ...packs(lacking.filter((one) => one.file.size <= SMALL))];
    await together(work, Array(AT_ONCE).fill(), (what) => (Array.isArray(what) ? this.sendPack(what) : this.sendLarge(what)));
  }

  tell(more = {}) {
    const going = [...this.under.values()].reduce((sum, one) => sum + one, 0);
    this.told({ phase: "sending", files: this.sent.files, bytes: Math.min(this.total.bytes, this.sent.bytes + going), total: this.total, ...more });
  }

  async sendPack(files) {
    const bytes = files.reduce((sum, one) => sum + one.file.size, 0);
    try {
      await this.put(`/uploads/${this.upload}/pack`, await packed(files), [], bytes);
    } catch (error) {
      this.checkChanged(error, files);
    }
    this.sent.files += files.length;
    this.sent.bytes += bytes;
    this.tell();
  }

  async sendLarge(one) {
    let [at, inVain] = [one.received, 0];
    while (at < one.file.size) {
      const end = Math.min(at + PIECE, one.file.size);
      let received;
      try {
        const { said } = await this.put(`/uploads/${this.upload}/blobs/${one.sha256}?offset=${at}`, one.file.slice(at, end), [one], end - at);
        received = said.received;
      } catch (error) {
        if (error.problem?.code !== "gap") this.checkChanged(error, [one]);
        received = error.problem.received;
      }
      inVain = received > at ? 0 : inVain + 1;
      if (inVain > IN_VAIN) throw new Refused(0, { detail: `${one.path} does not arrive. Try again; if it stays so, tell who runs the server.` });
      this.sent.bytes += received - at;
      at = received;
      this.tell();
    }
    this.sent.files += 1;
  }

  /** Raises what went wrong: Unreadable where a file is not what it was. */
  checkChanged(error, files) {
    if (error.problem?.code !== "damaged") throw error;
    const said = new Set((error.problem.errors ?? []).map((one) => one.field));
    const changed = files.filter((one) => !said.size || said.has(one.sha256));
    throw unreadable(changed);
  }

  async put(path, body, files, bytes) {
    const mark = Symbol(path);
    const sent = (loaded) => {
      this.under.set(mark, Math.min(loaded, bytes));
      this.tell();
    };
    try {
      return await this.ask("PUT", path, { body, type: "application/octet-stream", sent, files });
    } finally {
      this.under.delete(mark);
    }
  }

  /** A request to the API; where the server does not answer, again and again, until it is stopped. */
  async ask(method, path, { body, type, headers = {}, sent, files = [] }) {
    const { signal } = this.stopping;
    const all = { "X-CSRFToken": this.token, ...(type ? { "Content-Type": type } : {}), ...headers };
    for (let wait = 1; ; wait = Math.min(2 * wait, LONGEST_WAIT)) {
      try {
        return await request(method, `${this.api}${path}`, { body, headers: all, signal, sent });
      } catch (error) {
        if (!isWorthAnother(error)) throw error;
        await checkReadable(files);
        this.told({ phase: "waiting", seconds: wait, why: error.message });
      }
      await pause(wait, signal);
    }
  }
}

/** Raises Unreadable where a body was not sent because its files are not there any more: the browser says the same as of no connection. */
async function checkReadable(files) {
  const gone = [];
  for (const one of files) await one.file.slice(0, 1).arrayBuffer().catch(() => gone.push(one));
  if (gone.length) throw unreadable(gone);
}

/** What to raise when files are not what they were; their hashes are made anew. */
function unreadable(files) {
  for (const one of files) one.of.sha256 = "";
  return new Unreadable(files.map((one) => one.path));
}

/** The files of a pack, each after its SHA-256 and its size as eight bytes. Read here: a Blob of a thousand files stops the page for
 *  seconds. Raises Unreadable. */
async function packed(files) {
  const pack = new Uint8Array(files.reduce((sum, one) => sum + HEAD + one.file.size, 0));
  const view = new DataView(pack.buffer);
  const gone = [];
  let at = 0;
  for (let from = 0; from < files.length; from += READ_AT_ONCE) {
    const some = files.slice(from, from + READ_AT_ONCE);
    const contents = await Promise.all(some.map((one) => one.file.arrayBuffer().catch(() => null)));
    for (const [number, one] of some.entries()) {
      if (contents[number]?.byteLength !== one.file.size) {
        gone.push(one);
        continue;
      }
      for (let byte = 0; byte < 32; byte++) view.setUint8(at + byte, parseInt(one.sha256.slice(2 * byte, 2 * byte + 2), 16));
      view.setBigUint64(at + 32, BigInt(one.file.size));
      pack.set(new Uint8Array(contents[number]), at + HEAD);
      at += HEAD + one.file.size;
    }
  }
  if (gone.length) throw unreadable(gone);
  return pack;
}

function* packs(files) {
  let [some, bytes] = [[], 0];
  for (const one of files) {
    if (some.length === PACK_FILES || (some.length && bytes + one.file.size > PACK)) {
      yield some;
      [some, bytes] = [[], 0];
    }
    some.push(one);
    bytes += one.file.size;
  }
  if (some.length) yield some;
}

function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const go = () => {
      clearTimeout(timer);
      window.removeEventListener("online", go);
      signal.removeEventListener("abort", stop);
      resolve();
    };
    const stop = () => {
      go();
      reject(stopped());
    };
    const timer = setTimeout(go, 1000 * seconds);
    window.addEventListener("online", go);
    signal.addEventListener("abort", stop);
  });
}
