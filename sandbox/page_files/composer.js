/**
 * The message field: Enter sends, Shift+Enter inserts a line break, Up recalls sent messages, and suggestions
 * open while typing. Keeps one draft per place.
 */

import { el, icon } from "./dom.js";

/**
 * @typedef {import("./suggest.js").Suggestions} Suggestions
 *
 * @typedef {object} ComposerParts
 * @property {HTMLElement} mount
 * @property {string} name  "composer" or "thread"; makes the ids.
 * @property {{field: string, send: string}} testids
 * @property {(before: string) => Suggestions | null} suggest
 * @property {(text: string) => Promise<boolean>} send  Resolves to whether it was accepted.
 */

const MAX_HEIGHT_PX = 220;

export class Composer {
  /** @type {Map<string, string>} */
  #drafts = new Map();
  /** @type {Map<string, string[]>} */
  #sent = new Map();
  #recalled = 0;
  #place = "";
  /** @type {Suggestions | null} */
  #suggestions = null;
  #active = -1;

  /** @param {ComposerParts} parts */
  constructor({ mount, name, testids, suggest, send }) {
    this.suggest = suggest;
    this.send = send;
    this.listId = `${name}-suggestions`;
    this.list = el("ul", { class: "suggestions", id: this.listId, role: "listbox", "aria-label": "Suggestions", hidden: true });
    this.field = el("textarea", {
      rows: 1,
      spellcheck: "false",
      autocomplete: "off",
      enterkeyhint: "send",
      "aria-autocomplete": "list",
      "aria-controls": this.listId,
      data: { testid: testids.field },
    });
    this.button = el(
      "button",
      { type: "button", class: "send", "aria-label": "Send", title: "Send (Enter)", data: { testid: testids.send } },
      icon("send"),
    );
    mount.append(
      this.list,
      el("div", { class: "composer-box" }, this.field, this.button),
      el(
        "p",
        { class: "composer-hint" },
        el("kbd", {}, "Enter"), " sends · ", el("kbd", {}, "Shift"), "+", el("kbd", {}, "Enter"), " new line · ",
        el("kbd", {}, "↑"), " last sent",
      ),
    );
    this.field.addEventListener("input", () => {
      this.#recalled = 0;
      this.#changed();
      this.#offer();
    });
    this.field.addEventListener("keydown", (event) => this.#key(event));
    this.field.addEventListener("blur", () => this.#close());
    this.button.addEventListener("click", () => void this.#submit());
    this.#changed();
  }

  /**
   * @param {string} place  Each place has its own drafts and sent messages.
   * @param {string} label
   */
  setPlace(place, label) {
    this.field.placeholder = label;
    this.field.setAttribute("aria-label", label);
    if (place === this.#place) return;
    this.#drafts.set(this.#place, this.field.value);
    this.#place = place;
    this.#recalled = 0;
    this.#write(this.#drafts.get(place) ?? "");
    this.#close();
  }

  /** Puts text into the field for the person to edit or send. @param {string} text */
  fill(text) {
    this.#write(text);
    this.field.focus();
  }

  focus() {
    this.field.focus({ preventScroll: true });
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.isComposing) return;
    const open = this.#suggestions !== null;
    const plain = !event.shiftKey && !event.ctrlKey && !event.altKey && !event.metaKey;
    if (open && plain && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      this.#move(event.key === "ArrowDown" ? 1 : -1);
    } else if (open && plain && event.key === "Tab") {
      this.#choose(Math.max(this.#active, 0));
    } else if (open && plain && event.key === "Enter" && this.#active >= 0) {
      this.#choose(this.#active);
    } else if (open && event.key === "Escape") {
      this.#close();
    } else if (event.key === "Enter" && plain) {
      void this.#submit();
    } else if (event.key === "ArrowUp" && plain && (this.field.value === "" || this.#recalled > 0)) {
      this.#recall(1);
    } else if (event.key === "ArrowDown" && plain && this.#recalled > 0) {
      this.#recall(-1);
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }

  async #submit() {
    const text = this.field.value.trim();
    if (!text) return;
    const place = this.#place;
    this.#write("");
    this.#close();
    const taken = await this.send(text);
    if (taken) this.#sent.set(place, [...(this.#sent.get(place) ?? []), text]);
    else if (this.#place !== place) this.#drafts.set(place, text);
    else if (this.field.value === "") this.#write(text);
  }

  /** @param {number} step  1 goes one message further back. */
  #recall(step) {
    const sent = this.#sent.get(this.#place) ?? [];
    const back = Math.min(Math.max(this.#recalled + step, 0), sent.length);
    this.#write(back ? sent[sent.length - back] : "");
    this.#recalled = back;
  }

  /** @param {string} text */
  #write(text) {
    this.field.value = text;
    this.#recalled = 0;
    this.#changed();
  }

  #changed() {
    this.button.disabled = this.field.value.trim() === "";
    this.field.style.height = "auto";
    const wanted = this.field.scrollHeight; // 0 while the pane is hidden.
    if (wanted) this.field.style.height = `${Math.min(wanted, MAX_HEIGHT_PX)}px`;
  }

  #offer() {
    const caret = this.field.selectionStart;
    this.#suggestions = this.suggest(this.field.value.slice(0, caret));
    this.#active = this.#suggestions && !this.#suggestions.complete ? 0 : -1;
    this.#show();
  }

  /** @param {number} step */
  #move(step) {
    const count = this.#suggestions?.options.length ?? 0;
    this.#active = this.#active < 0 && step < 0 ? count - 1 : (this.#active + step + count) % count;
    this.#show();
  }

  /** @param {number} at */
  #choose(at) {
    const suggestions = this.#suggestions;
    const option = suggestions?.options[at];
    if (!suggestions || !option) return;
    const after = this.field.value.slice(this.field.selectionStart);
    const before = this.field.value.slice(0, suggestions.from) + option.insert;
    this.#write(before + after.trimStart());
    this.field.setSelectionRange(before.length, before.length);
    this.#close();
  }

  #close() {
    this.#suggestions = null;
    this.#show();
  }

  #show() {
    const options = this.#suggestions?.options ?? [];
    this.list.hidden = options.length === 0;
    this.list.replaceChildren(
      ...options.map((option, at) =>
        el(
          "li",
          {
            role: "option",
            id: `${this.listId}-${at}`,
            "aria-selected": String(at === this.#active),
            on: {
              // Before the field loses focus.
              pointerdown: (/** @type {Event} */ event) => {
                event.preventDefault();
                this.#choose(at);
              },
            },
          },
          el("span", { class: "suggestion-label" }, option.label),
          el("span", { class: "suggestion-hint" }, option.hint),
        ),
      ),
    );
    if (this.#active >= 0 && options.length) {
      this.field.setAttribute("aria-activedescendant", `${this.listId}-${this.#active}`);
    } else this.field.removeAttribute("aria-activedescendant");
  }
}
