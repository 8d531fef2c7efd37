/**
 * The pane beside the channel: one message and its replies.
 */

import { byId, el } from "./dom.js";

/**
 * @typedef {import("./composer.js").Composer} Composer
 * @typedef {import("./keyed.js").Item} Item
 * @typedef {import("./list.js").MessageList} MessageList
 * @typedef {import("./state.js").Store} Store
 */

export class ThreadPane {
  /** @param {{store: Store, list: MessageList, composer: Composer}} parts */
  constructor({ store, list, composer }) {
    this.store = store;
    this.list = list;
    this.composer = composer;
    this.pane = byId("thread");
  }

  render() {
    const { store } = this;
    const { channel, thread } = store.place;
    const open = Boolean(thread && store.channels.has(channel));
    this.pane.hidden = !open;
    if (!open) {
      this.list.show("", []);
      return;
    }
    byId("thread-where").textContent = store.channelTitle(channel);
    this.composer.setPlace(`${store.me} ${channel} ${thread}`, "Reply…");
    const root = store.find(channel, thread);
    const replies = store.replies(channel, thread);
    const count = replies.length;
    /** @type {Item[]} */
    const items = [root ? this.list.message(root, undefined, null, channel) : gone()];
    if (count) items.push(countLine(count));
    replies.forEach((reply, at) => items.push(this.list.message(reply, replies[at - 1], null, channel)));
    this.list.show(`${store.me} ${channel} ${thread}`, items);
  }
}

/** @returns {Item} */
function gone() {
  return {
    key: "gone",
    signature: "",
    draw: () => el("p", { class: "gone" }, "This thread's first message was deleted."),
  };
}

/**
 * @param {number} count
 * @returns {Item}
 */
function countLine(count) {
  return {
    key: "count",
    signature: String(count),
    draw: () => el("div", { class: "rule count" }, el("span", {}, `${count} ${count === 1 ? "reply" : "replies"}`)),
  };
}
