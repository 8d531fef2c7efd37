/**
 * The workspaces that have the app: moving between them, installing the app in another one, and uninstalling it.
 */

import { openInstallPage, uninstall } from "./api.js";
import { byId, el } from "./dom.js";
import { teamHref } from "./route.js";
import { showToast } from "./toast.js";

/**
 * @typedef {import("./state.js").Store} Store
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
      if (store.installable) void this.#install(store.installable, this.another);
    });
    byId("install-again").addEventListener("click", (event) => {
      void this.#install(store.team, /** @type {HTMLElement} */ (event.currentTarget));
    });
  }

  render() {
    const { store } = this;
    this.another.hidden = !store.installable;
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

  /** @param {Team} team @param {HTMLElement} opener */
  async #install(team, opener) {
    if (this.isLeaving) return;
    const { bot } = this.store;
    const first = this.store.teams.length < 2 ? ` The first time, ${bot.name} restarts to serve many workspaces, which takes a few seconds.` : "";
    const sure = await this.confirm(
      {
        title: { type: "plain_text", text: `Install ${bot.name} in ${team.name}` },
        text: {
          type: "mrkdwn",
          text: `You do what anyone does: open ${bot.name}'s install page, allow its permissions on Slack's page, then press *Connect FloKit* in a direct message.${first}`,
        },
        confirm: { type: "plain_text", text: "Open the install page" },
        deny: { type: "plain_text", text: "Cancel" },
      },
      opener,
    );
    if (!sure) return;
    this.#leave(true);
    const answer = await openInstallPage({ install: team.id });
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
    const { bot, team } = this.store;
    const sure = await this.confirm(
      {
        title: { type: "plain_text", text: `Uninstall ${bot.name} from ${team.name}?` },
        text: {
          type: "mrkdwn",
          text: `Slack tells ${bot.name}, which erases its token and its FloKit keys at once. Nothing is sent or checked for ${team.name} anymore. Installing it again brings subscriptions and history back.`,
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
