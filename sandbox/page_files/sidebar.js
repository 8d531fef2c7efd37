/**
 * The sidebar: the team, its channels and direct messages, and the acting person.
 */

import { byId, el, icon } from "./dom.js";
import { hrefOf } from "./route.js";

/**
 * @typedef {import("./state.js").Store} Store
 * @typedef {import("./types.js").Channel} Channel
 */

export class Sidebar {
  #signature = "";

  /**
   * @param {Store} store
   * @param {(userId: string) => void} actAs
   */
  constructor(store, actAs) {
    this.store = store;
    this.select = /** @type {HTMLSelectElement} */ (byId("acting-as"));
    this.select.addEventListener("change", () => actAs(this.select.value));
  }

  render() {
    const { store } = this;
    const channels = store.visibleChannels();
    const signature = JSON.stringify([
      channels, store.me, store.place.channel, [...store.unread], store.bot, store.installed, store.team, [...store.users],
    ]);
    if (signature === this.#signature) return;
    this.#signature = signature;
    byId("team-name").textContent = store.team.name;
    byId("open-tour").hidden = !store.isFirstTeam;
    const focused = document.activeElement?.getAttribute("href");
    const isDirect = (/** @type {Channel} */ channel) => channel.kind === "im" || channel.kind === "mpim";
    const botFirst = (/** @type {Channel} */ a, /** @type {Channel} */ b) => Number(b.bot_is_member) - Number(a.bot_is_member);
    byId("channels").replaceChildren(...channels.filter((one) => !isDirect(one)).map((one) => this.#row(one)));
    byId("directs").replaceChildren(...channels.filter(isDirect).sort(botFirst).map((one) => this.#row(one)));
    if (focused) /** @type {HTMLElement | null} */ (byId("sidebar").querySelector(`a[href="${CSS.escape(focused)}"]`))?.focus();
    this.select.replaceChildren(
      ...store.people().map((user) => el("option", { value: user.id, selected: user.id === store.me }, user.name)),
    );
  }

  /** @param {Channel} channel */
  #row(channel) {
    const { store } = this;
    const current = channel.id === store.place.channel;
    const unread = store.unread.has(channel.id);
    const withBot = channel.kind === "im" && channel.members.includes(store.bot.user_id);
    return el(
      "li",
      {},
      el(
        "a",
        {
          class: ["row", unread && "unread", channel.is_archived && "is-archived"].filter(Boolean).join(" "),
          href: hrefOf(channel.id),
          "aria-current": current ? "page" : null,
          data: { testid: `channel-${channel.id}` },
        },
        channel.kind === "im" ? presence(withBot ? store.bot.connected && store.installed : null) : icon(signOf(channel)),
        el("span", { class: "row-name" }, store.channelName(channel)),
        channel.is_archived && el("span", { class: "visually-hidden" }, " (archived)"),
        channel.kind === "private" && el("span", { class: "visually-hidden" }, " (private)"),
        withBot && el("span", { class: "app-badge" }, "APP"),
        withBot && el("span", { class: "visually-hidden" }, store.bot.connected && store.installed ? " (connected)" : " (away)"),
        unread && el("span", { class: "unread-mark" }, el("span", { class: "visually-hidden" }, " (new messages)")),
      ),
    );
  }
}

/**
 * @param {Channel} channel
 * @returns {"lock" | "people" | "hash"}
 */
export function signOf(channel) {
  if (channel.kind === "private") return "lock";
  return channel.kind === "mpim" ? "people" : "hash";
}

/** @param {boolean | null} connected  Null for people, who are always shown as active. */
function presence(connected) {
  return el("span", { class: connected === false ? "presence away" : "presence", "aria-hidden": "true" });
}
