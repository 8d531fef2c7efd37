/**
 * The panels on the right: at most one is open. Opening moves the focus in; closing restores it.
 */

import { byId } from "./dom.js";
import { findFocus, focusKey } from "./focus.js";

/** @typedef {"control" | "inspector"} PanelName */

/** @type {readonly PanelName[]} */
const NAMES = ["control", "inspector"];

export class Panels {
  /** @type {PanelName | ""} */
  open = "";
  /** @type {HTMLElement | null} */
  #opener = null;
  /** @type {ReturnType<typeof focusKey>} */
  #openerKey = null;

  /** @param {() => void} changed */
  constructor(changed) {
    this.changed = changed;
    for (const name of NAMES) {
      byId(`open-${name}`).addEventListener("click", () => (this.open === name ? this.close() : this.show(name)));
      byId(`close-${name}`).addEventListener("click", () => this.close());
      byId(name).addEventListener("keydown", (event) => {
        if (event.key === "Escape") this.close();
      });
    }
  }

  /** @param {PanelName} name */
  show(name) {
    if (document.activeElement instanceof HTMLElement && !document.activeElement.closest(".panel")) {
      this.#opener = document.activeElement;
      this.#openerKey = focusKey(this.#opener);
    }
    this.#set(name);
    byId(`close-${name}`).focus({ preventScroll: true });
  }

  close() {
    const was = this.open;
    if (!was) return;
    this.#set("");
    // Its message may have been redrawn.
    const opener = this.#opener?.isConnected ? this.#opener : this.#openerKey && findFocus(this.#openerKey);
    (opener ?? byId(`open-${was}`)).focus({ preventScroll: true });
    if (document.activeElement === document.body) byId("open-sidebar").focus();
  }

  /** @param {PanelName | ""} name */
  #set(name) {
    this.open = name;
    for (const each of NAMES) {
      byId(each).hidden = each !== name;
      byId(`open-${each}`).setAttribute("aria-expanded", String(each === name));
    }
    this.changed();
  }
}
