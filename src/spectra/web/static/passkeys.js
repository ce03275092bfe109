// Passkeys (WebAuthn level 3). A form with `data-passkey="get"` or `"create"` has the server's options as JSON in
// `data-options`; what the authenticator answers is put into its field `credential`, and the form goes its usual way.
"use strict";

(() => {
  const bytes = (text) =>
    Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0)).buffer;

  const text = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer)))
      .replaceAll("+", "-")
      .replaceAll("/", "_")
      .replaceAll("=", "");

  // Browsers before 2025 cannot read the JSON form of the options themselves.
  const read = (options) => {
    const made = { ...options, challenge: bytes(options.challenge) };
    if (options.user) {
      made.user = { ...options.user, id: bytes(options.user.id) };
    }
    for (const name of ["allowCredentials", "excludeCredentials"]) {
      if (options[name]) {
        made[name] = options[name].map((one) => ({ ...one, id: bytes(one.id) }));
      }
    }
    return made;
  };

  const written = (credential) => {
    const response = credential.response;
    const told = { clientDataJSON: text(response.clientDataJSON) };
    for (const name of ["attestationObject", "authenticatorData", "signature", "userHandle"]) {
      if (response[name]) {
        told[name] = text(response[name]);
      }
    }
    if (response.getTransports) {
      told.transports = response.getTransports();
    }
    return JSON.stringify({
      id: credential.id,
      rawId: text(credential.rawId),
      type: credential.type,
      response: told,
      clientExtensionResults: credential.getClientExtensionResults(),
      authenticatorAttachment: credential.authenticatorAttachment ?? undefined,
    });
  };

  const WHY = {
    NotAllowedError: "It was cancelled, or took too long.",
    InvalidStateError: "This authenticator is registered already.",
    SecurityError: "Passkeys are not for this address; ask whoever runs this node to set web.origin.",
    NotSupportedError: "This authenticator cannot do what is asked for.",
  };

  const ask = async (form) => {
    const options = { publicKey: read(JSON.parse(form.dataset.options)) };
    const creating = form.dataset.passkey === "create";
    return creating ? navigator.credentials.create(options) : navigator.credentials.get(options);
  };

  const take = (form) => {
    const button = form.querySelector("button");
    const told = form.querySelector("[data-told]");
    if (!window.PublicKeyCredential || !window.isSecureContext) {
      told.textContent = "Passkeys need a browser that has them, and HTTPS or this very machine.";
      return;
    }
    button.disabled = false;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      button.disabled = true;
      told.textContent = "Waiting for your authenticator …";
      try {
        form.elements.credential.value = written(await ask(form));
        form.submit();
      } catch (error) {
        told.textContent = WHY[error.name] ?? "The authenticator did not answer as it should.";
        button.disabled = false;
      }
    });
  };

  document.querySelectorAll("form[data-passkey]").forEach(take);
})();
