/**
 * The topmost modal of the acting person: its fields, what is wrong with them, submit and close.
 * https://docs.slack.dev/surfaces/modals
 */

import { closeView, submitView } from "./api.js";
import { renderBlocks } from "./blocks.js";
import { byId, el } from "./dom.js";
import { makeField } from "./inputs.js";
import { plainText } from "./text.js";

/**
 * @typedef {import("./inputs.js").Field} Field
 * @typedef {import("./state.js").Store} Store
 * @typedef {import("./types.js").Block} Block
 * @typedef {import("./types.js").Surroundings} Surroundings
 * @typedef {import("./types.js").View} View
 *
 * @typedef {{block: Block, element: Block, field: Field, error: HTMLElement | null}} Asked  What a block asks for.
 */

const REQUIRED = "Please complete this required field.";

export class Modal {
  /** @type {View | null} */
  #view = null;
  #signature = "";
  /** @type {Asked[]} */
  #asked = [];
  /** What was filled in, by view, block and action; a view below another keeps it. @type {Map<string, Block>} */
  #kept = new Map();
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
    this.#keep();
    const another = view?.id !== this.#view?.id;
    this.#signature = signature;
    this.#view = view;
    if (!view) {
      this.#asked = [];
      this.#kept.clear();
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
    if (another) (this.#asked[0]?.field ? focusIn(this.#asked[0].field) : byId("modal-x").focus());
    else if (focused) document.getElementById(focused)?.focus();
  }

  /** @param {View} view */
  #draw(view) {
    const around = this.surroundings(view);
    this.#asked = [];
    byId("modal-title").textContent = plainText(view.title);
    byId("modal-body").replaceChildren(...view.blocks.map((block, at) => this.#block(view, block, at, around)));
    byId("modal-close").textContent = plainText(view.close) || "Cancel";
    byId("modal-submit").textContent = plainText(view.submit) || "Submit";
    byId("modal-submit").hidden = !view.submit;
    this.#say("");
  }

  /** @param {View} view @param {Block} block @param {number} at @param {Surroundings} around */
  #block(view, block, at, around) {
    if (block.type === "input") return this.#input(view, block, at, around);
    const node = el("div", {}, renderBlocks([block], around));
    for (const element of [block.accessory, ...(block.elements ?? [])]) {
      const spot = element?.action_id && node.querySelector(`[data-action-id="${CSS.escape(element.action_id)}"]`);
      const field = spot && element.type !== "button" && this.#field(view, block, element, `modal-${at}-${element.action_id}`, "modal-title", around);
      if (!field) continue;
      field.node.addEventListener("change", () => {
        void around.press({ block_id: block.block_id, action_id: element.action_id, value: field.changed() });
      });
      field.control.setAttribute("aria-label", plainText(element.placeholder) || plainText(block.text) || "Choose");
      field.control.removeAttribute("aria-labelledby");
      spot.replaceWith(field.node);
      this.#asked.push({ block: { ...block, optional: true }, element, field, error: null });
    }
    return node;
  }

  /** @param {View} view @param {Block} block @param {number} at @param {Surroundings} around */
  #input(view, block, at, around) {
    const id = `modal-${at}`;
    const field = this.#field(view, block, block.element, id, `${id}-label`, around);
    const error = el("p", { class: "field-error", id: `${id}-error`, hidden: true, data: { testid: "field-error" } });
    if (field) {
      const about = [block.hint && `${id}-hint`, `${id}-error`].filter(Boolean).join(" ");
      field.control.setAttribute("aria-describedby", about);
      if (!block.optional) field.control.setAttribute("aria-required", "true");
      this.#asked.push({ block, element: block.element, field, error });
    }
    return el(
      "div",
      { class: "block block-input", data: { blockId: block.block_id } },
      el("label", { id: `${id}-label`, for: id }, plainText(block.label), block.optional && el("span", { class: "optional" }, " (optional)")),
      field ? field.node : el("p", { class: "unknown" }, `(“${block.element?.type}” is not shown here)`),
      error,
      block.hint && el("p", { class: "field-hint", id: `${id}-hint` }, plainText(block.hint)),
    );
  }

  /** @param {View} view @param {Block} block @param {Block} element @param {string} id @param {string} labelled @param {Surroundings} around */
  #field(view, block, element, id, labelled, around) {
    return makeField(element, { id, labelled, around, kept: this.#kept.get(keyOf(view, block, element)) });
  }

  /** What was filled in stays when the view is drawn anew, as in Slack while its ids stay. */
  #keep() {
    if (!this.#view) return;
    for (const { block, element, field } of this.#asked) this.#kept.set(keyOf(this.#view, block, element), field.read());
  }

  /** What is filled in, as in `view.state.values`. */
  values() {
    /** @type {Record<string, Record<string, Block>>} */
    const values = {};
    for (const { block, element, field } of this.#asked) {
      values[block.block_id] = { ...values[block.block_id], [element.action_id]: field.read() };
    }
    return values;
  }

  async #submit() {
    const view = this.#view;
    if (!view) return;
    const missing = this.#asked.filter(({ block, field }) => !block.optional && field.isEmpty());
    if (this.#showErrors(Object.fromEntries(missing.map(({ block }) => [block.block_id, REQUIRED])))) return;
    const answer = await this.#busy(() => submitView({ user: this.store.me, view_id: view.id, values: this.values() }));
    if (this.#view?.id !== view.id) return;
    const shown = this.#showErrors(answer.errors ?? {});
    this.#say(answer.ok || shown ? "" : answer.error || "We had some trouble connecting. Try again?");
  }

  async #close() {
    const view = this.#view;
    if (!view) return;
    const answer = await this.#busy(() => closeView({ user: this.store.me, view_id: view.id }));
    // A modal that the server no longer knows can be closed all the same.
    if (!answer.ok && this.#view?.id === view.id) {
      this.store.apply({ type: "view", user: this.store.me, view: null, replaces: view.id });
    }
  }

  /**
   * Says beside each field what is wrong with it, and goes to the first.
   * @param {Record<string, string>} errors  By block.
   * @returns {boolean}  Whether there is any.
   */
  #showErrors(errors) {
    let first = true;
    for (const { block, field, error } of this.#asked) {
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

/** @param {View} view @param {Block} block @param {Block} element */
function keyOf(view, block, element) {
  return [view.id, block.block_id, element.action_id].join(" ");
}
