/**
 * The workspaces that have the app: moving between them, installing the app in another one, and uninstalling it.
 */

import { openInstallPage, uninstall } from "./api.js";
import { byId, el } from "./dom.js";
import { openMenu } from "./menu.js";
import { teamHref } from "./route.js";
import { showToast } from "./toast.js";

/**
 * @typedef {import("./state.js").Store} Store
 * @typedef {import("./types.js").Installable} Installable
 * @typedef {import("./types.js").Surroundings} Surroundings
 * @typedef {import("./types.js").Team} Team
 */

const ANOTHER = "Another workspace…";

export class Workspaces {
  #signature = "";
  /** Whether an install page is being opened; the bot may restart for that, and forms open for a moment. */
  isLeaving = false;

  /** @param {Store} store @param {Surroundings["confirm"]} confirm */
  constructor(store, confirm) {
    this.store = store;
    this.confirm = confirm;
    this.another = byId("another-workspace");
    this.another.addEventListener("click", () => {
      const [place, ...others] = store.installable;
      if (others.length) openMenu(this.another, this.#places());
      else if (place) void this.#install(place, this.another);
    });
    byId("install-again").addEventListener("click", (event) => {
      const { org, team } = store;
      const opener = /** @type {HTMLElement} */ (event.currentTarget);
      void this.#install({ id: team.id, name: org || team.name, is_org: Boolean(org) }, opener);
    });
  }

  render() {
    const { store } = this;
    byId("another-anchor").hidden = !store.installable.length;
    if (store.installable.length > 1) this.another.setAttribute("aria-haspopup", "menu");
    else this.another.removeAttribute("aria-haspopup");
    byId("another-label").textContent = this.isLeaving ? "Opening the install page…" : ANOTHER;
    this.another.setAttribute("aria-busy", String(this.isLeaving));
    byId("uninstalled").hidden = store.installed;
    byId("uninstalled-where").textContent = store.team.name;
    const signature = JSON.stringify([store.teams, store.team, [...store.elsewhere]]);
    if (signature === this.#signature) return;
    this.#signature = signature;
    const nav = byId("workspaces");
    nav.hidden = store.teams.length < 2;
    nav.replaceChildren(el("ul", { class: "teams" }, ...store.teams.map((team) => el("li", {}, this.#link(team)))));
  }

  /** @param {Team} team */
  #link(team) {
    const current = team.id === this.store.team.id;
    const unread = !current && this.store.elsewhere.has(team.id);
    return el(
      "a",
      {
        class: unread ? "row unread" : "row",
        href: teamHref(team.id),
        "aria-current": current ? "true" : null,
        data: { testid: `team-${team.id}` },
      },
      el("span", { class: "team-initial", "aria-hidden": "true" }, team.name.slice(0, 1)),
      el("span", { class: "row-name" }, team.name),
      unread && el("span", { class: "unread-mark" }, el("span", { class: "visually-hidden" }, " (new messages)")),
    );
  }

  /** The menu of places that lack the app. */
  #places() {
    return this.store.installable.map((place) => ({
      label: nameOf(place),
      value: place.id,
      choose: () => void this.#install(place, this.another),
    }));
  }

  /** @param {Installable} place @param {HTMLElement} opener */
  async #install(place, opener) {
    if (this.isLeaving) return;
    const { bot } = this.store;
    const first = this.store.teams.length < 2 ? ` The first time, ${bot.name} restarts to serve many workspaces, which takes a few seconds.` : "";
    const sure = await this.confirm(
      {
        title: { type: "plain_text", text: `Install ${bot.name} in ${place.is_org ? `all of ${place.name}` : place.name}` },
        text: { type: "mrkdwn", text: `${place.is_org ? wayOfOrg(place, bot.name) : wayOf(bot.name)}${first}` },
        confirm: { type: "plain_text", text: "Open the install page" },
        deny: { type: "plain_text", text: "Cancel" },
      },
      opener,
    );
    if (!sure) return;
    this.#leave(true);
    const answer = await openInstallPage({ install: place.id });
    if (answer.url) location.assign(answer.url);
    else {
      this.#leave(false);
      showToast(answer.error || "Something went wrong.");
    }
  }

  /** @param {boolean} isLeaving */
  #leave(isLeaving) {
    this.isLeaving = isLeaving;
    this.store.changed();
  }

  /** Asks, then uninstalls the app from this workspace. @param {HTMLElement} opener */
  async uninstall(opener) {
    const { bot, org, team } = this.store;
    const erased = org ? "this workspace's FloKit keys" : "its token and its FloKit keys";
    const stays = org ? ` It stays in the other workspaces of ${org}.` : "";
    const sure = await this.confirm(
      {
        title: { type: "plain_text", text: `Uninstall ${bot.name} from ${team.name}?` },
        text: {
          type: "mrkdwn",
          text: `Slack tells ${bot.name}, which erases ${erased} at once. Nothing is sent or checked for ${team.name} anymore.${stays} Installing it again brings subscriptions and history back.`,
        },
        confirm: { type: "plain_text", text: "Uninstall" },
        deny: { type: "plain_text", text: "Cancel" },
        style: "danger",
      },
      opener,
    );
    if (!sure) return;
    const answer = await uninstall();
    if (!answer.ok) showToast(answer.error || "Something went wrong.");
  }
}

/** @param {Installable} place */
function nameOf(place) {
  return place.is_org ? `All of ${place.name} (Enterprise)` : place.name;
}

/** How a workspace installs the app. @param {string} bot */
function wayOf(bot) {
  return `You do what anyone does: open ${bot}'s install page, allow its permissions on Slack's page, then press *Connect FloKit* in a direct message.`;
}

/** How an organization installs the app, or adds it to more workspaces. @param {Installable} place @param {string} bot */
function wayOfOrg(place, bot) {
  return `You do what an organization's admin does: open ${bot}'s install page, choose *All of ${place.name}* on Slack's page, then add it to workspaces. Each of them connects its own FloKit.`;
}
