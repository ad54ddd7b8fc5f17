// Forms that make or use a passkey: the browser asks for it, and its answer goes with the form.

const MAKE = {
  create: (options) => navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options.publicKey) }),
  get: (options) => navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options.publicKey) }),
};
const SENTENCES = {
  InvalidStateError: "This passkey belongs to your account already.",
  NotAllowedError: "The passkey was not used: it was refused, or nothing happened for too long. Try again.",
  SecurityError: "Passkeys work only at the address that this server calls its own. Look at the address of this page.",
};

async function answer(form) {
  if (!globalThis.PublicKeyCredential?.parseCreationOptionsFromJSON) throw new Error("This browser knows no passkeys. Use a newer one, or a code.");
  const options = JSON.parse(document.getElementById(form.dataset.passkeyOptions).textContent);
  const credential = await MAKE[form.dataset.passkey](options);
  return JSON.stringify(credential.toJSON());
}

for (const form of document.querySelectorAll("[data-passkey]")) {
  const error = form.querySelector("[data-passkey-error]");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    error.hidden = true;
    try {
      form.elements.credential.value = await answer(form);
    } catch (reason) {
      error.textContent = SENTENCES[reason.name] ?? reason.message;
      error.hidden = false;
      return;
    }
    form.submit();
  });
}
