// What .mlteamignore names in a folder that is chosen, as the command leaves it out: lines as of .gitignore, of each directory its own.

export const IGNORE = ".mlteamignore";

/** A pattern of .gitignore as a regular expression for a path that begins in its directory; a directory's ends with /. */
function expression(pattern) {
  const anchored = pattern.slice(0, -1).includes("/");
  const text = pattern.replace(/^\//, "").replace(/\/$/, "");
  const parts = text.match(/\*\*\/|\/\*\*$|\*\*|\*|\?|\[!?\]?[^\]]*\]|\\?[^]/gu) ?? [];
  const written = parts.map((part) => {
    if (part === "**/") return "(?:.*/)?";
    if (part === "/**") return "/.*";
    if (part === "**" || part === "*") return "[^/]*";
    if (part === "?") return "[^/]";
    if (part.length > 1 && part.startsWith("[")) return part.replace(/^\[!/, "[^").replaceAll("\\", "\\\\");
    return part.replace(/^\\/, "").replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
  });
  return new RegExp(`^${anchored ? "" : "(?:.*/)?"}${written.join("")}${pattern.endsWith("/") ? "/" : "/?"}$`, "u");
}

/** The rules of one file: [what it fits, whether that is left out]; a line that is no pattern is none. */
function rulesOf(text) {
  const rules = [];
  for (const line of text.replace(/^\ufeff/, "").split(/\r?\n/)) {
    const pattern = line.replace(/(?<!\\) +$/, "");
    if (!pattern || pattern.startsWith("#")) continue;
    try {
      rules.push([expression(pattern.replace(/^!/, "")), !pattern.startsWith("!")]);
    } catch {
      // such as [z-a]
    }
  }
  return rules;
}

/** What tells whether a path is left out, for files {path, file} among which those with the rules are. */
export async function ignoring(files) {
  const all = new Map(); // directory, "" or with / at its end -> rules
  for (const { path, file } of files) {
    if (path === IGNORE || path.endsWith(`/${IGNORE}`)) all.set(path.slice(0, -IGNORE.length), rulesOf(await file.text()));
  }
  const known = new Map();
  const decided = (path) => {
    // The last line that fits decides, and those of a directory further down go before.
    for (let at = path.lastIndexOf("/", path.length - 2) + 1; ; at = path.lastIndexOf("/", at - 2) + 1) {
      const rules = all.get(path.slice(0, at)) ?? [];
      const found = rules.findLast(([fits]) => fits.test(path.slice(at)));
      if (found) return found[1];
      if (!at) return false;
    }
  };
  const isOut = (path) => {
    if (!known.has(path)) {
      const above = path.slice(0, path.lastIndexOf("/", path.length - 2) + 1);
      known.set(path, Boolean(above && isOut(above)) || decided(path));
    }
    return known.get(path);
  };
  return all.size ? isOut : () => false;
}
