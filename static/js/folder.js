// What somebody drops or chooses, as a list of files with their paths, and what of it is left out and why.

import { IGNORE, ignoring } from "./ignore.js";

const LONGEST = 1024; // bytes of a path
const COMPONENT = 255; // bytes of what stands between two slashes
const AT_ONCE = 50; // files of a folder that the browser is asked for at a time
const encoder = new TextEncoder();

/** Why no file can be kept under a path; "" where one can. The server decides (datastores/paths.py); this says it before bytes are read. */
export function wrong(path) {
  if (!path.isWellFormed?.() && path.isWellFormed) return "its name is no text";
  if (/[\u0000-\u001f\u007f-\u009f]/.test(path)) return "its name has a control character in it, a line break say";
  if (encoder.encode(path).length > LONGEST) return `its path has more than ${LONGEST} bytes`;
  const parts = path.split("/");
  if (parts.some((part) => part === "" || part === "." || part === "..")) return "its path has an empty name, . or .. in it";
  return parts.some((part) => encoder.encode(part).length > COMPONENT) ? `its name has more than ${COMPONENT} bytes` : "";
}

/** Files with their paths; `name`: of the one folder that was chosen, from which paths begin then, else "". */
export class Chosen {
  constructor() {
    this.files = []; // {path, file}
    this.leftOut = []; // {path, why}
    this.bytes = 0;
    this.name = "";
  }

  add(path, file) {
    const why = wrong(path);
    if (why) this.leftOut.push({ path, why });
    else {
      this.files.push({ path, file });
      this.bytes += file.size;
    }
  }
}

/** The same without what its .mlteamignore names, as the command sends it. */
export async function withoutIgnored(chosen) {
  const isOut = await ignoring(chosen.files);
  const left = new Chosen();
  left.name = chosen.name;
  left.leftOut = chosen.leftOut;
  for (const { path, file } of chosen.files) {
    if (isOut(path)) left.leftOut.push({ path, why: `${IGNORE} names it` });
    else left.add(path, file);
  }
  return left;
}

/** What a file input holds. */
export function ofInput(input) {
  const chosen = new Chosen();
  for (const file of input.files) {
    // Chromium writes a backslash in the name of a file as a slash there.
    const above = file.webkitRelativePath.slice(0, -file.name.length);
    const [top, ...rest] = `${above}${file.name}`.split("/");
    if (rest.length) chosen.name = top;
    chosen.add(rest.length ? rest.join("/") : file.name, file);
  }
  return chosen;
}

/** What was dropped: to be called while the event lasts. `found(chosen)` is told now and then how far it is. */
export async function ofDrop(transfer, found) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  const chosen = new Chosen();
  const alone = entries.length === 1 && entries[0].isDirectory;
  if (alone) chosen.name = entries[0].name;
  const waiting = entries.map((entry) => [entry, alone ? "" : entry.name]);
  while (waiting.length) {
    const [entry, path] = waiting.pop();
    if (!entry.isDirectory) await take(chosen, entry, path);
    else await walk(chosen, entry, path, waiting);
    found(chosen);
  }
  return chosen;
}

async function walk(chosen, directory, path, waiting) {
  const reader = directory.createReader();
  const files = [];
  try {
    for (;;) {
      const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
      if (!some.length) break;
      for (const one of some) {
        const below = path ? `${path}/${one.name}` : one.name;
        if (one.isDirectory) waiting.push([one, below]);
        else files.push([one, below]);
      }
    }
  } catch {
    chosen.leftOut.push({ path: `${path}/`, why: "the browser could not read the folder" });
  }
  for (let at = 0; at < files.length; at += AT_ONCE) {
    await Promise.all(files.slice(at, at + AT_ONCE).map(([one, below]) => take(chosen, one, below)));
  }
}

async function take(chosen, entry, path) {
  try {
    chosen.add(path, await new Promise((resolve, reject) => entry.file(resolve, reject)));
  } catch {
    chosen.leftOut.push({ path, why: "the browser could not read it: a link, perhaps, or one of somebody else's files" });
  }
}
