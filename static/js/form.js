// Forms: a job.yml fills its form as soon as it is chosen; presets and levels follow each other; what is offered is put in.

const fill = document.querySelector("[data-fill]");
fill?.form.querySelector("input[name=job_yml]")?.addEventListener("change", (event) => {
  if (event.target.files.length) fill.form.requestSubmit(fill);
});

const presets = JSON.parse(document.getElementById("presets")?.textContent ?? "{}");

for (const form of document.querySelectorAll("[data-presets]")) {
  const { preset } = form.elements;
  if (!preset) continue;
  const fields = () => Object.keys(Object.values(presets)[0] ?? {}).map((kind) => form.elements[kind]).filter(Boolean);
  const held = () => Object.entries(presets).find(([, levels]) => fields().every((field) => levels[field.name] === field.value));
  const show = () => { for (const field of fields()) field.value = presets[preset.value]?.[field.name] ?? field.value; };
  preset.addEventListener("change", show);
  for (const field of fields()) field.addEventListener("change", () => { preset.value = held()?.[0] ?? ""; });
}

// What is offered becomes a line of the field that it is for.
for (const offer of document.querySelectorAll("[data-add-line]")) {
  offer.addEventListener("click", () => {
    const field = document.getElementById(offer.dataset.to);
    if (!field.value.split("\n").includes(offer.dataset.addLine)) field.value = `${field.value.trimEnd()}\n${offer.dataset.addLine}`.trimStart();
    field.dispatchEvent(new Event("input", { bubbles: true }));
  });
}

// Rows: the button copies the empty one; the last one that is removed is emptied.
for (const rows of document.querySelectorAll("[data-rows]")) {
  const part = rows.closest("fieldset");
  const changed = () => rows.dispatchEvent(new Event("input", { bubbles: true }));
  part.querySelector("[data-add-row]").addEventListener("click", () => {
    rows.append(part.querySelector("[data-row]").content.cloneNode(true));
    [...rows.children].forEach((row, number) => {
      for (const named of [row, row.querySelector("[data-remove-row]")]) named.ariaLabel = named.ariaLabel.replace(/\S+$/, number + 1);
    });
    rows.lastElementChild.querySelector("input").focus();
  });
  rows.addEventListener("click", (event) => {
    const row = event.target.closest("[data-remove-row]")?.closest(".row-fields");
    if (!row) return;
    if (rows.children.length > 1) row.remove();
    else for (const field of row.querySelectorAll("input, select")) field.value = "";
    changed();
  });
}

// What was typed is not lost to a slip: leaving a changed form asks first.
const long = document.getElementById("job-form");
let changed = false;
long?.addEventListener("input", () => { changed = true; });
long?.addEventListener("submit", () => { changed = false; });
window.addEventListener("beforeunload", (event) => { if (changed) event.preventDefault(); });
