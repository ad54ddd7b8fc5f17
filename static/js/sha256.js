// A worker that reads files and says their SHA-256. The browser's own cannot be had on plain http, and wants a whole file in memory.
// In: {file}. Out, in this order: {read: bytes} as it goes on, then {sha256} or {error: the name of what went wrong}.

const PIECE = 4 * 2 ** 20; // bytes that are read at once
const WHOLE = 16 * 2 ** 20; // bytes of a file that the browser's own may have, where there is one
const fraction = (root) => Math.floor((root % 1) * 2 ** 32) | 0;
const primes = [];
for (let n = 2; primes.length < 64; n++) if (primes.every((prime) => n % prime)) primes.push(n);
const ROUNDS = Int32Array.from(primes, (prime) => fraction(Math.cbrt(prime)));
const START = Int32Array.from(primes.slice(0, 8), (prime) => fraction(Math.sqrt(prime)));

/** The 64 words of a block. */
function expand(words, bytes, at) {
  for (let i = 0, j = at; i < 16; i++, j += 4) words[i] = (bytes[j] << 24) | (bytes[j + 1] << 16) | (bytes[j + 2] << 8) | bytes[j + 3];
  for (let i = 16; i < 64; i++) {
    const x = words[i - 15];
    const y = words[i - 2];
    const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
    const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
    words[i] = (words[i - 16] + s0 + words[i - 7] + s1) | 0;
  }
}

/** FIPS 180-4, of bytes that come piece by piece. */
class Sha256 {
  constructor() {
    this.state = START.slice();
    this.words = new Int32Array(64);
    this.rest = new Uint8Array(64); // what has come of a block that is not whole
    this.length = 0;
  }

  update(bytes) {
    const held = this.length % 64;
    this.length += bytes.length;
    let at = 0;
    if (held) {
      at = Math.min(64 - held, bytes.length);
      this.rest.set(bytes.subarray(0, at), held);
      if (held + at < 64) return;
      this.blocks(this.rest, 0, 64);
    }
    const end = bytes.length - ((bytes.length - at) % 64);
    this.blocks(bytes, at, end);
    this.rest.set(bytes.subarray(end));
  }

  /** Whole blocks, from one place to another. Four rounds stand in a row, so that nothing but names moves on from one to the next. */
  blocks(bytes, from, to) {
    const { state, words } = this;
    for (let at = from; at < to; at += 64) {
      let a = state[0];
      let b = state[1];
      let c = state[2];
      let d = state[3];
      let e = state[4];
      let f = state[5];
      let g = state[6];
      let h = state[7];
      expand(words, bytes, at);
      for (let i = 0; i < 64; i += 4) {
        let t = (h + (((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7))) + (g ^ (e & (f ^ g))) + ROUNDS[i] + words[i]) | 0;
        d = (d + t) | 0;
        h = (t + (((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10))) + ((a & b) | (c & (a | b)))) | 0;
        t = (g + (((d >>> 6) | (d << 26)) ^ ((d >>> 11) | (d << 21)) ^ ((d >>> 25) | (d << 7))) + (f ^ (d & (e ^ f))) + ROUNDS[i + 1] + words[i + 1]) | 0;
        c = (c + t) | 0;
        g = (t + (((h >>> 2) | (h << 30)) ^ ((h >>> 13) | (h << 19)) ^ ((h >>> 22) | (h << 10))) + ((h & a) | (b & (h | a)))) | 0;
        t = (f + (((c >>> 6) | (c << 26)) ^ ((c >>> 11) | (c << 21)) ^ ((c >>> 25) | (c << 7))) + (e ^ (c & (d ^ e))) + ROUNDS[i + 2] + words[i + 2]) | 0;
        b = (b + t) | 0;
        f = (t + (((g >>> 2) | (g << 30)) ^ ((g >>> 13) | (g << 19)) ^ ((g >>> 22) | (g << 10))) + ((g & h) | (a & (g | h)))) | 0;
        t = (e + (((b >>> 6) | (b << 26)) ^ ((b >>> 11) | (b << 21)) ^ ((b >>> 25) | (b << 7))) + (d ^ (b & (c ^ d))) + ROUNDS[i + 3] + words[i + 3]) | 0;
        a = (a + t) | 0;
        e = (t + (((f >>> 2) | (f << 30)) ^ ((f >>> 13) | (f << 19)) ^ ((f >>> 22) | (f << 10))) + ((f & g) | (h & (f | g)))) | 0;
        t = a; a = e; e = t;
        t = b; b = f; f = t;
        t = c; c = g; g = t;
        t = d; d = h; h = t;
      }
      state[0] += a;
      state[1] += b;
      state[2] += c;
      state[3] += d;
      state[4] += e;
      state[5] += f;
      state[6] += g;
      state[7] += h;
    }
  }

  /** Hexadecimal. */
  digest() {
    const bits = this.length * 8;
    const padding = new Uint8Array(((119 - (this.length % 64)) % 64) + 9);
    padding[0] = 0x80;
    const view = new DataView(padding.buffer);
    view.setUint32(padding.length - 8, Math.floor(bits / 2 ** 32));
    view.setUint32(padding.length - 4, bits >>> 0);
    this.update(padding);
    return Array.from(this.state, (word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
  }
}

async function hash(file) {
  if (self.crypto.subtle && file.size <= WHOLE) {
    const found = await crypto.subtle.digest("SHA-256", await file.arrayBuffer());
    postMessage({ read: file.size });
    return Array.from(new Uint8Array(found), (byte) => byte.toString(16).padStart(2, "0")).join("");
  }
  const hasher = new Sha256();
  for (let at = 0; at < file.size; at += PIECE) {
    const piece = new Uint8Array(await file.slice(at, at + PIECE).arrayBuffer());
    hasher.update(piece);
    if (file.size > PIECE) postMessage({ read: piece.length });
  }
  if (hasher.length !== file.size) throw new DOMException("", "NotReadableError");
  if (file.size <= PIECE) postMessage({ read: file.size });
  return hasher.digest();
}

onmessage = async ({ data }) => {
  try {
    postMessage({ sha256: await hash(data.file) });
  } catch (error) {
    postMessage({ error: error.name });
  }
};
