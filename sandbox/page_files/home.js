/**
 * The Home and Messages tabs of the app's direct message, and the content of Home.
 * https://docs.slack.dev/surfaces/app-home
 */

import { openHome } from "./api.js";
import { renderBlocks } from "./blocks.js";
import { byId, el } from "./dom.js";
import { Form } from "./form.js";
import { homeHref, hrefOf } from "./route.js";

/**
 * @typedef {import("./state.js").Store} Store
 * @typedef {import("./types.js").Surroundings} Surroundings
 * @typedef {import("./types.js").View} View
 */

export class HomePane {
  form = new Form();
  #signature = "";
  #opened = "";

  /** @param {Store} store @param {(view: View) => Surroundings} surroundings */
  constructor(store, surroundings) {
    this.store = store;
    this.surroundings = surroundings;
  }

  render() {
    const { store } = this;
    const { channel, home = false } = store.place;
    const tabs = byId("app-tabs");
    tabs.hidden = !store.homeTab || !store.isAppChannel(channel);
    byId("home").hidden = !home;
    byId("messages").hidden = home;
    byId("main-foot").hidden = home;
    const opened = home ? store.me : "";
    if (opened !== this.#opened) {
      this.#opened = opened;
      if (opened) void openHome({ user: opened });
    }
    const signature = JSON.stringify([channel, home, tabs.hidden, home && store.home, store.me]);
    if (signature === this.#signature) return;
    this.#signature = signature;
    const focused = document.activeElement?.closest("#app-tabs") && document.activeElement.getAttribute("href");
    tabs.replaceChildren(tab("Home", homeHref(channel), home, "home-tab"), tab("Messages", hrefOf(channel), !home, "messages-tab"));
    if (focused) /** @type {HTMLElement | null} */ (tabs.querySelector(`[href="${CSS.escape(focused)}"]`))?.focus();
    byId("home").replaceChildren(home ? this.#content() : "");
  }

  #content() {
    const view = this.store.home;
    this.form.begin(`${this.store.me} ${view?.id}`);
    if (view?.blocks.length) return el("div", { class: "home-view content" }, renderBlocks(view.blocks, this.surroundings(view)));
    return el("p", { class: "gone" }, `${this.store.bot.name} hasn't published its Home tab yet.`);
  }
}

/** @param {string} label @param {string} href @param {boolean} current @param {string} testid */
function tab(label, href, current, testid) {
  return el("a", { class: "tab", href, "aria-current": current ? "page" : null, data: { testid } }, label);
}
