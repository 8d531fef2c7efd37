/**
 * The dialog of a `confirm` object. The browser's own modal: it keeps the focus, Escape closes it.
 * https://docs.slack.dev/reference/block-kit/composition-objects/confirmation-dialog-object
 */

import { byId } from "./dom.js";
import { findFocus, focusKey } from "./focus.js";
import { plainText, renderText } from "./text.js";

/**
 * Asks, and gives the focus back to where it came from.
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
    // The event of an earlier closing can come when the dialog is open again: it must not answer.
    on(dialog, "close", () => !dialog.open && finish(false));
  });
}
