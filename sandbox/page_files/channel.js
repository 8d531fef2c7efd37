/**
 * The middle of the page: one channel and its messages, or suggestions if it's empty.
 */

import { byId, el, icon } from "./dom.js";
import { dayLine, isNewDay } from "./list.js";
import { openMenu } from "./menu.js";
import { hrefOf } from "./route.js";
import { signOf } from "./sidebar.js";

/**
 * @typedef {import("./composer.js").Composer} Composer
 * @typedef {import("./keyed.js").Item} Item
 * @typedef {import("./list.js").MessageList} MessageList
 * @typedef {import("./state.js").Store} Store
 * @typedef {import("./types.js").Channel} Channel
 * @typedef {import("./api.js").changeChannel} changeChannel
 */

export class ChannelPane {
  /**
   * @param {{store: Store, list: MessageList, composer: Composer,
   *   change: (order: Parameters<typeof changeChannel>[0]) => Promise<void>,
   *   uninstall: (opener: HTMLElement) => void}} parts
   */
  constructor({ store, list, composer, change, uninstall }) {
    this.store = store;
    this.list = list;
    this.composer = composer;
    this.change = change;
    this.uninstall = uninstall;
    this.opener = byId("channel-menu");
    this.opener.addEventListener("click", () => openMenu(this.opener, this.#choices()));
  }

  render() {
    const { store } = this;
    const channel = store.channels.get(store.place.channel);
    if (!channel) return;
    const title = store.channelTitle(channel.id);
    document.title = `${title} · ${store.team.name}`;
    byId("channel-name").replaceChildren(
      ...(channel.kind === "im" ? [] : [icon(signOf(channel))]),
      el("span", {}, store.channelName(channel)),
    );
    const where = store.teams.length > 1 ? `${store.team.name} · ` : "";
    byId("channel-about").textContent = `${where}${this.#about(channel)}`;
    const isApp = store.isAppChannel(channel.id);
    const isDeaf = isApp && !store.hearsDirects;
    byId("channel-menu-anchor").hidden = isApp ? !store.canUninstall : channel.kind !== "public" && channel.kind !== "private";
    this.opener.setAttribute("aria-label", isApp ? "App actions" : "Channel actions");
    byId("composer").hidden = channel.is_archived || isDeaf;
    byId("archived").hidden = !channel.is_archived;
    byId("deaf").hidden = !isDeaf || !store.installed;
    byId("messages").setAttribute("aria-label", `Messages in ${title}`);
    this.composer.setPlace(`${store.me} ${channel.id}`, `Message ${title}`);

    const roots = store.roots(channel.id);
    /** @type {Item[]} */
    const items = [];
    roots.forEach((message, at) => {
      if (isNewDay(message, roots[at - 1])) items.push(dayLine(message));
      const href = message.ephemeral ? null : hrefOf(channel.id, message.ts);
      items.push(this.list.message(message, roots[at - 1], href, channel.id));
    });
    if (roots.length === 0 && !channel.is_archived && !isDeaf) items.push(this.#welcome(channel));
    this.list.show(`${store.me} ${channel.id}`, items);
  }

  /** @param {Channel} channel */
  #about(channel) {
    const { bot } = this.store;
    if (channel.kind === "im") return channel.members.includes(bot.user_id) ? "Direct message with the app" : "Direct message";
    const people = channel.members.filter((id) => id !== bot.user_id).length;
    if (channel.is_archived) return "Archived";
    const count = `${people} ${people === 1 ? "person" : "people"}`;
    return channel.bot_is_member ? `${count} and ${bot.name}` : `${count} · ${bot.name} isn't in this channel`;
  }

  /** The channel's menu. @returns {import("./menu.js").MenuOption[]} */
  #choices() {
    const { store } = this;
    const channel = store.channels.get(store.place.channel);
    if (!channel) return [];
    if (store.isAppChannel(channel.id)) {
      return [{ label: `Uninstall ${store.bot.name}…`, value: "uninstall", choose: () => this.uninstall(this.opener) }];
    }
    const choice = (/** @type {Parameters<typeof changeChannel>[0]["action"]} */ action, /** @type {string} */ label) => ({
      label,
      value: action,
      choose: () => void this.change({ user: store.me, channel: channel.id, action }),
    });
    if (channel.is_archived) return [choice("unarchive", "Unarchive channel")];
    const { name } = store.bot;
    return [
      channel.bot_is_member ? choice("remove_bot", `Remove ${name}`) : choice("invite_bot", `Invite ${name}`),
      choice("archive", "Archive channel"),
    ];
  }

  /**
   * @param {Channel} channel
   * @returns {Item}
   */
  #welcome(channel) {
    const { bot, command } = this.store;
    const tries = [
      [`${command} status`, "List all integrations, failing ones first"],
      [`${command} sync stripe`, "Start a sync and get its outcome"],
      [`@${bot.name} show stripe`, "Show one integration by mentioning the bot"],
    ];
    return {
      key: "welcome",
      signature: JSON.stringify([channel, tries]),
      draw: () =>
        el(
          "div",
          { class: "welcome" },
          el("h2", {}, channel.kind === "im" ? "No messages yet" : `No messages in ${this.store.channelTitle(channel.id)} yet`),
          el("p", {}, "Three things to try. Click one to fill in the field below, then press Enter."),
          el(
            "ul",
            { class: "chips" },
            ...tries.map(([words, what]) =>
              el(
                "li",
                {},
                el(
                  "button",
                  { type: "button", class: "chip", on: { click: () => this.composer.fill(words) } },
                  el("code", {}, words),
                  el("span", {}, what),
                ),
              ),
            ),
          ),
        ),
    };
  }
}
