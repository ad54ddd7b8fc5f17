// Lists: j and k move, Enter opens, / searches; a row whose state changed glows once.

const rows = () => [...document.querySelectorAll("table.list tbody tr")].filter((row) => row.querySelector("a.row-link"));
const typing = (target) => target.matches("input, select, textarea, [contenteditable]") || target.closest("dialog, [popover]");
const states = new Map();

function go(step) {
  const all = rows();
  if (!all.length) return;
  const at = all.findIndex((row) => row.contains(document.activeElement));
  const row = all[at < 0 ? (step > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, at + step))];
  row.querySelector("a.row-link").focus();
  row.scrollIntoView({ block: "nearest" });
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
  const search = document.querySelector("[data-list-search]");
  if (event.key === "j") go(1);
  else if (event.key === "k") go(-1);
  else if (event.key === "/" && search) { event.preventDefault(); search.focus(); search.select(); }
});

/** Compares each row's state with what it was; only a change glows, not the first sight of a row. */
function look({ glow }) {
  for (const row of document.querySelectorAll("table.list tbody tr[id]")) {
    const state = row.querySelector("[data-state]")?.dataset.state;
    if (glow && states.has(row.id) && states.get(row.id) !== state) {
      row.classList.remove("glow");
      void row.offsetWidth; // restarts the animation
      row.classList.add("glow");
    }
    states.set(row.id, state);
  }
}

look({ glow: false });
for (const name of ["htmx:afterSettle", "htmx:oobAfterSwap", "htmx:wsAfterMessage"]) {
  document.addEventListener(name, () => look({ glow: true }));
}
