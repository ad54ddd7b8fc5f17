// The profile's theme shows as soon as it is chosen; saving the form keeps it.

const choice = document.querySelector("select[name=theme]");
const kept = document.documentElement.dataset.theme;

choice?.addEventListener("change", () => { document.documentElement.dataset.theme = choice.value || kept; });
