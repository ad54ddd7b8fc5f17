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
for (const name of ["htmx:afterSettle", "htmx:wsAfterMessage"]) {
  // after htmx has settled what it put in, or it would take the class off again
  document.addEventListener(name, () => setTimeout(() => look({ glow: true }), 60));
}

// A job that the page does not show yet, and whatever happened while the line was down: the list is read again.
const list = () => document.getElementById("jobs");
const firstPage = () => !new URLSearchParams(location.search).has("page");
let waiting = 0, wasOpen = false;

function readAgain() {
  waiting ||= setTimeout(() => {
    waiting = 0;
    const row = document.activeElement.closest("tbody tr[id]");
    if (!list()) location.reload(); // the first job of an empty project
    else if (!firstPage()) return;
    else if (!row && list().contains(document.activeElement)) readAgain(); // somebody is at the filters
    else refresh(row?.id);
  }, 400);
}

/** Reads the list again and leaves the keyboard where it was. */
function refresh(rowId) {
  const back = () => rowId && document.getElementById(rowId)?.querySelector("a.row-link").focus({ preventScroll: true });
  document.addEventListener("htmx:afterSettle", back, { once: true });
  htmx.trigger(list(), "refresh");
}

document.addEventListener("htmx:wsBeforeMessage", (event) => {
  const ids = [...String(event.detail.message).matchAll(/<tr id="([\w-]+)"/g)].map((match) => match[1]);
  const known = ids.filter((id) => document.getElementById(id));
  if (known.length === ids.length) return;
  readAgain();
  if (!known.length || firstPage()) event.preventDefault(); // nothing to put anywhere, or all of it comes with the list
});
document.addEventListener("htmx:wsOpen", () => {
  if (wasOpen) readAgain();
  wasOpen = true;
});
document.addEventListener("htmx:wsClose", (event) => {
  if (event.detail.event?.code >= 4400) location.reload(); // no longer allowed here: the server says why
});
