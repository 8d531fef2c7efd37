/**
 * Keys for the form that connects FloKit: the local FloKit has no page of its own on which people could copy them.
 */

import { copyFlokitKey } from "./api.js";
import { byId, el } from "./dom.js";
import { showToast } from "./toast.js";

/**
 * @typedef {import("./form.js").Asked} Asked
 * @typedef {import("./types.js").View} View
 */

/** The form's `callback_id`, as in bot/core/connecting.py. */
const CONNECT_FORM = "flokit_connect_form";

export class FlokitKeys {
  /** The field that was used last. @type {HTMLInputElement | null} */
  #field = null;

  constructor() {
    byId("modal-body").addEventListener("focusin", ({ target }) => {
      if (target instanceof HTMLInputElement) this.#field = target;
    });
  }

  /** Adds the keys below the form. @param {View} view @param {string} team  Its name. @param {Asked[]} asked */
  offer(view, team, asked) {
    if (view.callback_id !== CONNECT_FORM) return;
    this.#field = /** @type {HTMLInputElement | null} */ (asked[0]?.field.control ?? null);
    byId("modal-body").append(
      el(
        "aside",
        { class: "flokit-keys", "aria-label": "Keys of the sandbox" },
        el("p", {}, `In the sandbox, ${team}'s FloKit is made up, and so are its keys:`),
        this.#button("read-write", "write"),
        this.#button("read-only", "read"),
      ),
    );
  }

  /** @param {string} words @param {"read" | "write"} rights */
  #button(words, rights) {
    return el(
      "button",
      { type: "button", class: "button", data: { testid: `key-${rights}` }, on: { click: () => void this.#fill(rights) } },
      `Paste a ${words} key`,
    );
  }

  /** @param {"read" | "write"} rights */
  async #fill(rights) {
    const answer = await copyFlokitKey({ rights });
    const field = this.#field;
    if (!answer.key || !field?.isConnected) {
      showToast(answer.error || "Something went wrong.");
      return;
    }
    field.value = answer.key;
    field.dispatchEvent(new Event("input", { bubbles: true }));
    field.focus();
  }
}
