// On every page: copy buttons, times in words, messages that can be closed, questions asked before what cannot be undone.

const UNITS = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
const say = (text) => { document.getElementById("announcer").textContent = text; };

/** Whole text to copy for a button: its own data-copy, or the text of the element that data-copy-from names. */
function textOf(button) {
  const source = button.dataset.copyFrom && document.getElementById(button.dataset.copyFrom);
  return source ? (source.value ?? source.textContent).trimEnd() : button.dataset.copy;
}

async function writeToClipboard(text) {
  if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text);
  // plain http on another host has no clipboard API; the old way still works there
  const area = Object.assign(document.createElement("textarea"), { value: text, readOnly: true, className: "out-of-sight" });
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  if (!done) throw new Error("not copied");
}

async function copy(button) {
  try {
    await writeToClipboard(textOf(button));
  } catch {
    return say("The browser did not allow copying. Select the text and copy it by hand.");
  }
  say("Copied");
  button.classList.add("copied");
  setTimeout(() => button.classList.remove("copied"), 1500);
}

/** How what is typed stands in a text: as a word of the shell, as Python or JSON writes it, as JSON within a word of the shell. */
const QUOTED = {
  shell: (value) => (/^[\w@.,:/+-]+$/.test(value) ? value : `'${value.replaceAll("'", "'\\''")}'`),
  python: (value) => (typeof value === "boolean" ? (value ? "True" : "False") : JSON.stringify(value)),
  json: (value) => JSON.stringify(value).replaceAll("'", "'\\''"),
  url: (value) => encodeURIComponent(value).replaceAll("'", "%27"),
};

/** What is said instead of what stands in a field: bytes for GiB, the flag of a command for a box that is not ticked. */
function meant(value, { instead, quoted }) {
  if (instead === "GiB") return quoted === "shell" ? `${value}GiB` : JSON.stringify(Math.trunc(value * 2 ** 30));
  if (instead) return value ? "" : ` ${instead}`;
  return QUOTED[quoted](value);
}

/** What stands in a field of a form, "" where the form does not ask for it now. */
function valueOf(field) {
  if (field?.type === "checkbox") return field.checked;
  return field?.closest?.("[data-if-shown]")?.checkVisibility() === false ? "" : field?.value;
}

// What says which form it is, and what it is about: the form itself, or something in it.
const lastUsed = {}; // of forms that are called alike, such as those of the rows of a list, that of the one that was used last
let lastForm = ""; // what the form that was used last is called

/** What says which form a text is about: of several alike the one that was used last, or none. */
function formOf(text) {
  const name = text.closest("[data-of]")?.dataset.of;
  const alike = document.querySelectorAll(`[data-way="${name}"]`);
  return lastUsed[name]?.isConnected ? lastUsed[name] : alike.length === 1 ? alike[0] : null;
}

/** Opens what is said about the form that was used last. */
function openLastUsed() {
  const said = lastForm && document.querySelector(`#copy-as [data-of="${lastForm}"]`);
  if (said) said.open = true;
}

/** The blanks of what can be copied say what is typed into the form, and what it is about; empty ones keep their name. */
function fillBlanks() {
  for (const blank of document.querySelectorAll("var[data-field]")) {
    blank.dataset.name ??= blank.textContent;
    const form = formOf(blank);
    const typed = valueOf(form?.closest("form")?.elements[blank.dataset.field]);
    const value = typed === false ? typed : typed || form?.getAttribute(`data-${blank.dataset.field}`);
    blank.textContent = value || value === false ? meant(value, blank.dataset) : blank.dataset.name;
  }
}

/** A duration in its two largest units, as the server writes it: "3 min 20 s". */
function span(seconds) {
  const parts = [];
  let left = Math.max(0, Math.floor(seconds));
  for (const [unit, size] of UNITS) {
    if (left < size) continue;
    parts.push(`${Math.floor(left / size)} ${unit}`);
    left %= size;
  }
  return parts.slice(0, 2).join(" ") || "0 s";
}

/** "3 min ago", "in 2 d", "just now". */
function relative(seconds) {
  if (Math.abs(seconds) < 5) return "just now";
  const largest = span(Math.abs(seconds)).split(" ").slice(0, 2).join(" ");
  return seconds > 0 ? `${largest} ago` : `in ${largest}`;
}

/** Times go on counting; the exact one, in the user's zone, is the title that the server wrote. */
function tick() {
  for (const time of document.querySelectorAll("time[datetime]:not([data-exact])")) {
    const seconds = (Date.now() - new Date(time.dateTime)) / 1000;
    const text = "since" in time.dataset ? span(seconds) : relative(seconds);
    if (time.textContent !== text) time.textContent = text;
  }
}

/** Asks in a dialog what the form's page would ask; when that cannot be had, the browser goes to the page. */
async function ask(form) {
  const answer = await fetch(form.action, { headers: { Accept: "text/html" } }).catch(() => null);
  const page = answer?.ok && new DOMParser().parseFromString(await answer.text(), "text/html");
  const question = page && page.getElementById("confirm");
  if (!question) return form.submit();
  const dialog = document.getElementById("question");
  question.removeAttribute("class");
  dialog.replaceChildren(question);
  for (const input of dialog.querySelectorAll("[data-must-equal]")) guard(input);
  dialog.showModal();
}

/** The button of a form that wants a name typed works once the name is there; the server looks again. */
function guard(input) {
  const button = input.form.querySelector("[data-guarded]");
  if (button) button.disabled = input.value !== input.dataset.mustEqual;
}

function close(button, event) {
  const box = button.closest("dialog, .message");
  if (!box) return; // on the page itself a "no" is a link back
  event.preventDefault();
  if (box.matches("dialog")) box.close();
  else box.remove();
}

document.addEventListener("click", (event) => {
  const on = (selector) => event.target.closest?.(selector);
  if (on("[data-copy], [data-copy-from]")) copy(on("[data-copy], [data-copy-from]"));
  else if (on("[data-close]")) close(on("[data-close]"), event);
  else if (event.target.matches?.("dialog")) event.target.close(); // a click beside the question is a "no"
});
document.addEventListener("submit", (event) => {
  if (!event.target.matches("[data-ask]")) return;
  event.preventDefault();
  ask(event.target);
});
document.addEventListener("input", (event) => event.target.matches("[data-must-equal]") && guard(event.target));
for (const input of document.querySelectorAll("[data-must-equal]")) guard(input);

/** Takes a message away when it could be read: not while the page is in the background or the pointer rests on it. */
const fade = (message) => setTimeout(() => (document.hidden || message.matches(":hover, :focus-within") ? fade(message) : message.remove()), 8000);
for (const message of document.querySelectorAll(".message.success, .message.info")) fade(message);

document.getElementById("copy-as")?.addEventListener("toggle", (event) => {
  fillBlanks();
  if (event.newState === "open") openLastUsed();
});
for (const use of ["focusin", "input"]) {
  document.addEventListener(use, (event) => {
    const used = event.target.closest("form");
    const form = used?.matches("[data-way]") ? used : used?.querySelector("[data-way]");
    if (!form) return;
    lastForm = form.getAttribute("data-way"); // a field called dataset hides form.dataset
    lastUsed[lastForm] = form;
  });
}
tick();
setInterval(tick, 1000);
document.addEventListener("htmx:afterSwap", tick);
document.addEventListener("htmx:wsAfterMessage", tick);
document.addEventListener("htmx:oobAfterSwap", tick);
