// What is done before the page's scripts are there is done when they are: all of them run before the document says that it is loaded.

{
  const done = [];
  const again = {
    click: (event) => {
      const button = event.target.closest?.("button[type=button]:not([popovertarget])");
      return button && (() => button.click());
    },
    change: ({ target }) => target.matches("input[type=file], select") && (() => target.dispatchEvent(new Event("change", { bubbles: true }))),
    // what was done before may still change what a form says
    submit: ({ target, submitter }) => (done.length || target.matches("[data-ask], [data-passkey]")) && (() => target.requestSubmit(submitter)),
  };

  const keep = (event) => {
    const act = again[event.type](event);
    if (!act) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    done.push(act);
  };

  for (const type of Object.keys(again)) window.addEventListener(type, keep, { capture: true });
  window.addEventListener("DOMContentLoaded", () => { // after those that listen at the document, htmx among them
    for (const type of Object.keys(again)) window.removeEventListener(type, keep, { capture: true });
    for (const act of done) act();
  });
}
