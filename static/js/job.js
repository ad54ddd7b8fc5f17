// A job's page: when the state changes, facts and attempts are read again; a final job offers no Stop.

const FINAL = ["succeeded", "failed", "cancelled", "interrupted"];
const state = () => document.querySelector("#job-status [data-state]")?.dataset.state;
let seen = state();

async function refresh() {
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } }).catch(() => null);
  if (!answer?.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const facts = page.getElementById("job-facts");
  if (facts) document.getElementById("job-facts")?.replaceWith(facts);
  if (address(page) !== address(document) && following()) location.reload();
}

// A restarted job has a new attempt with a log of its own: whoever follows is led on to it, whoever reads is left alone.
const address = (page) => page.querySelector("[data-log]")?.dataset.socket;
const following = () => document.querySelector("[data-log-follow]")?.getAttribute("aria-pressed") === "true";

function look() {
  const now = state();
  if (!now || now === seen) return;
  seen = now;
  if (FINAL.includes(now)) document.querySelector("form.stop")?.remove();
  refresh();
}

for (const name of ["htmx:wsAfterMessage", "htmx:oobAfterSwap"]) document.addEventListener(name, look);

let wasOpen = false;
document.addEventListener("htmx:wsOpen", () => {
  if (wasOpen) refresh();
  wasOpen = true;
});
document.addEventListener("htmx:wsClose", (event) => {
  // no longer allowed here: the log says so by itself, other tabs let the server say it
  if (event.detail.event?.code >= 4400 && !document.querySelector("[data-log]")) location.reload();
});
