/**
 * The dialog of a `confirm` object. A native modal dialog: it traps focus, and Escape closes it.
 * https://docs.slack.dev/reference/block-kit/composition-objects/confirmation-dialog-object
 */

import { byId } from "./dom.js";
import { findFocus, focusKey } from "./focus.js";
import { plainText, renderText } from "./text.js";

/**
 * Asks, then restores the focus.
 * @param {import("./types.js").Block} confirm
 * @param {HTMLElement} opener
 * @param {import("./types.js").Surroundings} around
 * @returns {Promise<boolean>}
 */
export function askToConfirm(confirm, opener, around) {
  const dialog = /** @type {HTMLDialogElement} */ (byId("dialog"));
  if (dialog.open) return Promise.resolve(false);
  const yes = byId("dialog-confirm");
  const no = byId("dialog-deny");
  byId("dialog-title").textContent = plainText(confirm.title);
  byId("dialog-text").replaceChildren(renderText(confirm.text, around));
  yes.textContent = plainText(confirm.confirm) || "OK";
  no.textContent = plainText(confirm.deny) || "Cancel";
  yes.classList.toggle("button-danger", confirm.style === "danger");
  yes.classList.toggle("button-primary", confirm.style !== "danger");
  const key = focusKey(opener);
  dialog.showModal();
  return new Promise((resolve) => {
    const listening = new AbortController();
    const on = (/** @type {EventTarget} */ target, /** @type {string} */ type, /** @type {(event: Event) => void} */ listener) =>
      target.addEventListener(type, listener, { signal: listening.signal });
    const finish = (/** @type {boolean} */ answer) => {
      listening.abort();
      dialog.close();
      const target = opener.isConnected ? opener : key && findFocus(key);
      target?.focus({ preventScroll: true });
      resolve(answer);
    };
    on(yes, "click", () => finish(true));
    on(no, "click", () => finish(false));
    on(dialog, "cancel", () => finish(false)); // Escape
    on(dialog, "click", (event) => event.target === dialog && finish(false)); // beside it
    // A late close event from an earlier dialog must not answer this one.
    on(dialog, "close", () => !dialog.open && finish(false));
  });
}
