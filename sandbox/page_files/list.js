/**
 * A scrolling list of messages. Redraws only what changed, stays at the bottom if it's there, and otherwise shows a
 * "new messages" button.
 */

import { dayOf, moment } from "./dates.js";
import { el } from "./dom.js";
import { keepingFocus } from "./focus.js";
import { Form } from "./form.js";
import { KeyedNodes } from "./keyed.js";
import { renderMessage } from "./message.js";

/**
 * @typedef {import("./keyed.js").Item} Item
 * @typedef {import("./message.js").Frame} Frame
 * @typedef {import("./message.js").Person} Person
 * @typedef {import("./state.js").Shown} Shown
 * @typedef {import("./state.js").Store} Store
 * @typedef {import("./types.js").Press} Press
 * @typedef {import("./types.js").Surroundings} Surroundings
 * @typedef {import("./types.js").Values} Values
 */

const NEAR_THE_BOTTOM_PX = 40;
const SAME_BREATH_S = 300;

export class MessageList {
  #place = "";
  /** What each person has filled in, by person and ts. @type {Map<string, Form>} */
  #forms = new Map();
  #atBottom = true;

  /**
   * @param {object} parts
   * @param {HTMLElement} parts.scroller
   * @param {HTMLElement} parts.pill  The "new messages" button.
   * @param {Store} parts.store
   * @param {(message: Shown, press: Press, values: Values) => Promise<void>} parts.press
   * @param {Surroundings["confirm"]} parts.confirm
   * @param {(message: Shown, channel: string) => void} parts.showJson
   */
  constructor({ scroller, pill, store, press, confirm, showJson }) {
    this.scroller = scroller;
    this.pill = pill;
    this.store = store;
    this.press = press;
    this.confirm = confirm;
    this.showJson = showJson;
    this.content = el("div", { class: "list" });
    this.nodes = new KeyedNodes(this.content);
    scroller.append(this.content);
    scroller.addEventListener("scroll", () => {
      this.#atBottom = this.#distance() < NEAR_THE_BOTTOM_PX;
      if (this.#atBottom) pill.hidden = true;
    });
    pill.addEventListener("click", () => {
      this.toBottom();
      scroller.focus({ preventScroll: true });
    });
    const watch = new ResizeObserver(() => this.#atBottom && this.toBottom());
    watch.observe(this.content);
    watch.observe(scroller);
  }

  /**
   * @param {string} place  What the list shows; a different place starts at the bottom.
   * @param {Item[]} items
   */
  show(place, items) {
    if (place !== this.#place) {
      this.#place = place;
      this.nodes.clear();
      this.#atBottom = true;
      this.pill.hidden = true;
    }
    keepingFocus(() => this.nodes.show(items));
    if (this.#atBottom) this.toBottom();
  }

  /**
   * A message arrived in this list.
   * @param {boolean} own  The person's own messages are always scrolled into view.
   */
  arrived(own) {
    if (own) this.toBottom();
    else if (!this.#atBottom) this.pill.hidden = false;
  }

  toBottom() {
    this.scroller.scrollTop = this.scroller.scrollHeight;
    this.#atBottom = true;
    this.pill.hidden = true;
  }

  /**
   * A message as a list item.
   * @param {Shown} message
   * @param {Shown | undefined} above  The message directly above it.
   * @param {string | null} threadHref
   * @param {string} channel
   * @returns {Item}
   */
  message(message, above, threadHref, channel) {
    const { store } = this;
    const replies = threadHref === null ? [] : store.replies(channel, message.ts);
    /** @type {Frame} */
    const frame = {
      author: this.#person(message.user),
      follows: follows(message, above),
      threadHref,
      replies: {
        count: replies.length,
        people: [...new Set(replies.map((reply) => reply.user))].map((id) => this.#person(id)),
        lastTs: replies[replies.length - 1]?.ts ?? "",
      },
    };
    return {
      key: message.ts,
      signature: JSON.stringify([message, frame, store.me]),
      draw: () => {
        const form = this.#formOf(message);
        form.begin();
        return renderMessage(message, frame, {
          me: store.me,
          userName: (id) => store.userName(id),
          people: () => store.people(),
          channelName: (id) => store.channels.get(id)?.name,
          form,
          press: (press) => this.press(message, press, form.values()),
          confirm: this.confirm,
          showJson: () => this.showJson(message, channel),
        });
      },
    };
  }

  /** @param {Shown} message */
  #formOf(message) {
    const key = `${this.store.me} ${message.ts}`;
    const form = this.#forms.get(key) ?? new Form();
    this.#forms.set(key, form);
    return form;
  }

  /** @param {string} id @returns {Person} */
  #person(id) {
    const { store } = this;
    return { id, name: store.userName(id), isApp: store.isApp(id), isBot: id === store.bot.user_id };
  }

  #distance() {
    return this.scroller.scrollHeight - this.scroller.clientHeight - this.scroller.scrollTop;
  }
}

/**
 * The divider above the first message of a day.
 * @param {Shown} message
 * @returns {Item}
 */
export function dayLine(message) {
  const day = dayOf(message.ts);
  return {
    key: `day ${day}`,
    signature: day,
    draw: () =>
      el("div", { class: "rule day" }, el("span", {}, moment(Number(message.ts), "{day_divider_pretty}"))),
  };
}

/** @param {Shown} message @param {Shown | undefined} above */
export function isNewDay(message, above) {
  return !above || dayOf(message.ts) !== dayOf(above.ts);
}

/** @param {Shown} message @param {Shown | undefined} above */
function follows(message, above) {
  return (
    above !== undefined &&
    above.user === message.user &&
    !above.ephemeral &&
    !message.ephemeral &&
    !isNewDay(message, above) &&
    Number(message.ts) - Number(above.ts) < SAME_BREATH_S
  );
}
