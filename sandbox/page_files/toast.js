/**
 * A toast at the bottom of the page for errors. A new one replaces the last. While a dialog is open, nothing outside it
 * is reachable or read aloud, so the toast moves into it.
 */

import { byId } from "./dom.js";

const SHOWN_MS = 12_000;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;

/** @param {string} sentence */
export function showToast(sentence) {
  const toast = byId("toast");
  (document.querySelector("dialog[open]") ?? document.body).append(toast);
  byId("toast-text").textContent = sentence;
  toast.hidden = false;
  wait();
}

/** Connects the close button. The toast stays while it has the pointer or focus. */
export function prepareToast() {
  const toast = byId("toast");
  const hide = () => (toast.hidden = true);
  byId("toast-close").addEventListener("click", hide);
  toast.addEventListener("pointerenter", () => clearTimeout(timer));
  toast.addEventListener("focusin", () => clearTimeout(timer));
  toast.addEventListener("pointerleave", wait);
  toast.addEventListener("focusout", wait);
}

function wait() {
  clearTimeout(timer);
  timer = setTimeout(() => (byId("toast").hidden = true), SHOWN_MS);
}
