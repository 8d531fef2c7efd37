/**
 * The acting person's topmost modal: its fields, validation errors, submit and close.
 * https://docs.slack.dev/surfaces/modals
 */

import { closeView, submitView } from "./api.js";
import { renderBlocks } from "./blocks.js";
import { byId } from "./dom.js";
import { FlokitKeys } from "./flokit_keys.js";
import { Form } from "./form.js";
import { plainText } from "./text.js";

/**
 * @typedef {import("./inputs.js").Field} Field
 * @typedef {import("./state.js").Store} Store
 * @typedef {import("./types.js").Surroundings} Surroundings
 * @typedef {import("./types.js").View} View
 */

const REQUIRED = "Please complete this required field.";

export class Modal {
  /** @type {View | null} */
  #view = null;
  #signature = "";
  form = new Form();
  keys = new FlokitKeys();
  /** @type {HTMLElement | null} */
  #opener = null;

  /** @param {Store} store @param {(view: View) => Surroundings} surroundings */
  constructor(store, surroundings) {
    this.store = store;
    this.surroundings = surroundings;
    this.dialog = /** @type {HTMLDialogElement} */ (byId("modal"));
    byId("modal-form").addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#submit();
    });
    for (const id of ["modal-x", "modal-close"]) byId(id).addEventListener("click", () => void this.#close());
    this.dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      void this.#close();
    });
  }

  render() {
    const view = this.store.modal;
    const signature = view ? JSON.stringify([this.store.me, view]) : "";
    if (signature === this.#signature) return;
    const another = view?.id !== this.#view?.id;
    this.#signature = signature;
    this.#view = view;
    if (!view) {
      this.form.clear();
      this.dialog.close();
      if (this.#opener?.isConnected) this.#opener.focus({ preventScroll: true });
      return;
    }
    const focused = document.activeElement?.id ?? "";
    this.#draw(view);
    if (!this.dialog.open) {
      this.#opener = document.activeElement instanceof HTMLElement ? document.activeElement : null;
      this.dialog.showModal();
    }
    if (another) (this.form.asked[0] ? focusIn(this.form.asked[0].field) : byId("modal-x").focus());
    else if (focused) document.getElementById(focused)?.focus();
  }

  /** @param {View} view */
  #draw(view) {
    this.form.begin(view.id);
    byId("modal-title").textContent = plainText(view.title);
    byId("modal-body").replaceChildren(renderBlocks(view.blocks, this.surroundings(view)));
    this.keys.offer(view, this.store.team.name, this.form.asked);
    byId("modal-close").textContent = plainText(view.close) || "Cancel";
    byId("modal-submit").textContent = plainText(view.submit) || "Submit";
    byId("modal-submit").hidden = !view.submit;
    this.#say("");
  }

  async #submit() {
    const view = this.#view;
    if (!view) return;
    const missing = this.form.asked.filter(({ block, field, error }) => error && !block.optional && field.isEmpty());
    if (this.#showErrors(Object.fromEntries(missing.map(({ block }) => [block.block_id, REQUIRED])))) return;
    const answer = await this.#busy(() => submitView({ user: this.store.me, view_id: view.id, values: this.form.values() }));
    if (this.#view?.id !== view.id) return;
    const shown = this.#showErrors(answer.errors ?? {});
    this.#say(answer.ok || shown ? "" : answer.error || "We had some trouble connecting. Try again?");
  }

  async #close() {
    const view = this.#view;
    if (!view) return;
    const answer = await this.#busy(() => closeView({ user: this.store.me, view_id: view.id }));
    // A modal that the server no longer has can still be closed.
    if (!answer.ok && this.#view?.id === view.id) {
      this.store.apply({ type: "view", user: this.store.me, view: null, replaces: view.id });
    }
  }

  /**
   * Shows each error beside its field and focuses the first.
   * @param {Record<string, string>} errors  By block.
   * @returns {boolean}  Whether there is any.
   */
  #showErrors(errors) {
    let first = true;
    for (const { block, field, error } of this.form.asked) {
      if (!error) continue;
      const words = errors[block.block_id] ?? "";
      error.hidden = !words;
      error.textContent = words;
      if (words) field.control.setAttribute("aria-invalid", "true");
      else field.control.removeAttribute("aria-invalid");
      if (words && first) {
        focusIn(field);
        first = false;
      }
    }
    return !first;
  }

  /** @param {string} words */
  #say(words) {
    byId("modal-said").textContent = words;
    byId("modal-said").hidden = !words;
  }

  /** @template T @param {() => Promise<T>} work */
  async #busy(work) {
    const submit = byId("modal-submit");
    submit.setAttribute("aria-busy", "true");
    try {
      return await work();
    } finally {
      submit.removeAttribute("aria-busy");
    }
  }
}

/** @param {Field} field */
function focusIn({ control }) {
  (control.matches(".checks") ? (control.querySelector("input") ?? control) : control).focus();
}
