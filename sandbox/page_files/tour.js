/**
 * A five-step tour (failing → resync → joined → crash → recovery) in a card beside the chat. Each step
 * watches the store and completes automatically.
 */

import { click, control as order, runCommand } from "./api.js";
import { byId, el } from "./dom.js";
import { hrefOf } from "./route.js";
import { showToast } from "./toast.js";

/**
 * @typedef {import("./state.js").Store} Store
 * @typedef {import("./types.js").Block} Block
 * @typedef {import("./types.js").Message} Message
 *
 * @typedef {{goToChannel: () => void, closeSidebar: () => void}} Page  What the tour can do with the page.
 *
 * @typedef {object} Memory  Survives a reload.
 * @property {"invited" | "running" | "ended" | "away"} at
 * @property {number} step
 * @property {boolean} done  Whether this step is complete.
 * @property {string} since  The newest ts when the step began.
 * @property {string} doneTs  The newest ts when the step was done.
 * @property {number} restarts  The bot's restarts when the step began.
 *
 * @typedef {object} Step
 * @property {string} title
 * @property {string} text
 * @property {string} seen  Shown when the step is complete.
 * @property {number} [lasts]  How long syncs take from this step on, in seconds.
 * @property {(store: Store, memory: Memory) => boolean} done
 * @property {[label: string, what: (guide: Guide) => Promise<void>]} help
 */

const REMEMBERED_AS = "tour";
const NARROW = matchMedia("(max-width: 719px)");
const POINTED_MS = 4000;
const PATIENCE_MS = 8000;

/** @type {readonly Step[]} */
const STEPS = [
  {
    title: "What's failing?",
    text: "Type “/flokit status” in the channel and press Enter. Failing integrations come first, each with its error and what to check.",
    seen: "Stripe is failing, and the message says why.",
    done: (store, { since }) => resyncIn(store, (message) => newer(message, since)) !== null,
    help: ["Type it for me", (guide) => guide.askStatus()],
  },
  {
    title: "Resync it",
    text: "Press Resync next to Stripe and confirm. The bot reports progress in the message's thread, then posts exactly one outcome.",
    seen: "That's the outcome, in the thread of the message you clicked.",
    lasts: 4,
    done: (store, { since }) => outcomes(store, since).length > 0,
    help: ["Show me", (guide) => guide.pointAtResync()],
  },
  {
    title: "Join in",
    text: "Press Resync again. While the sync runs, switch to someone else (bottom left) and press Resync for the same integration.",
    seen: "They joined the same sync. FloKit was asked once, and both people will get the outcome.",
    lasts: 12,
    done: (store, { since }) => syncMessages(store).some((message) => fresh(message, since) && isJoined(message)),
    help: ["Do it", (guide) => guide.joinIn()],
  },
  {
    title: "Crash it",
    text: "During a sync, kill the bot: Fault injection → Kill the bot. This sends kill -9 to a real process.",
    seen: "The process is gone, with no chance to clean up. The sync is still in its database.",
    lasts: 12,
    done: ({ control }, { restarts }) => control !== null && (!control.bot.running || control.bot.restarts > restarts),
    help: ["Do it", (guide) => guide.crash()],
  },
  {
    title: "Watch it recover",
    text: "The bot restarts, reads its database, and keeps watching the sync. Wait for the outcome: it's still posted exactly once.",
    seen: "Posted once, by a process that never saw the click.",
    done: (store, { since }) => store.bot.connected && outcomes(store, since).length > 0,
    help: ["Show me", (guide) => guide.openThread()],
  },
];

export class Tour {
  #signature = "";

  /** @param {Store} store @param {Page} page */
  constructor(store, page) {
    this.store = store;
    this.memory = recall();
    this.guide = new Guide(store, page);
    this.card = el("section", { class: "tour", "aria-labelledby": "tour-title", data: { testid: "tour" } });
    byId("open-tour").addEventListener("click", () => {
      page.closeSidebar();
      this.#start();
      this.card.querySelector("button")?.focus();
    });
    NARROW.addEventListener("change", () => this.render());
  }

  render() {
    const { store, memory } = this;
    if (!store.ready) return;
    const step = STEPS[memory.step];
    if (memory.at === "running" && !memory.done && store.isFirstTeam && step.done(store, memory)) {
      this.#remember({ done: true, doneTs: store.newestTs() });
      byId("tour-said").textContent = step.seen;
    }
    // On a narrow page the invitation would push the chat down.
    const hidden = memory.at === "away" || (memory.at === "invited" && NARROW.matches) || !store.isFirstTeam;
    const place = byId(NARROW.matches ? "tour-above" : "tour-beside");
    if (this.card.parentElement !== place) place.append(this.card);
    const signature = JSON.stringify([this.memory.at, this.memory.step, this.memory.done, hidden]);
    if (signature === this.#signature) return;
    this.#signature = signature;
    this.card.hidden = hidden;
    const focused = this.card.contains(document.activeElement);
    this.card.replaceChildren(...this.#content());
    if (!focused) return;
    if (hidden) byId("open-tour").focus();
    else /** @type {HTMLElement | null} */ (this.card.querySelector("[data-testid=tour-next], button"))?.focus();
  }

  #content() {
    const { memory } = this;
    const title = (/** @type {string} */ words) => el("h2", { id: "tour-title" }, words);
    if (memory.at === "invited") {
      return [
        title("New here?"),
        el("p", {}, "Five short steps: a failure, a resync, two people, a crash, and a recovery."),
        buttons(
          button("Start", "tour-next", () => this.#start(), true),
          button("No, thanks", "tour-skip", () => this.#leave()),
        ),
      ];
    }
    if (memory.at === "ended") {
      return [
        title("You've finished the tour"),
        el("p", {}, "Every click got exactly one outcome in its thread, even through a crash. Break more things under Fault injection, or open the Inspector to see every call."),
        buttons(
          button("Close", "tour-skip", () => this.#leave(), true),
          button("Start again", "tour-restart", () => this.#start()),
        ),
      ];
    }
    const step = STEPS[memory.step];
    const last = memory.step === STEPS.length - 1;
    const [label, what] = step.help;
    return [
      el(
        "div",
        { class: "tour-head" },
        title(step.title),
        el("span", { class: "tour-progress", data: { testid: "tour-progress" } }, `${memory.step + 1}/${STEPS.length}`),
      ),
      el("progress", { max: STEPS.length, value: memory.step + (memory.done ? 1 : 0), "aria-label": "Tour progress" }),
      memory.done
        ? el("p", { class: "tour-seen", data: { testid: "tour-seen" } }, `✓ ${step.seen}`)
        : el("p", {}, step.text),
      buttons(
        !memory.done && button(label, "tour-do", (pressed) => void this.#help(pressed, what), true),
        button(last ? "Finish" : "Next", "tour-next", () => this.#next(), memory.done),
        memory.step > 0 && button("Restart", "tour-restart", () => this.#start()),
        button("Skip", "tour-skip", () => this.#leave()),
      ),
    ];
  }

  /** @param {HTMLElement} pressed @param {(guide: Guide) => Promise<void>} what */
  async #help(pressed, what) {
    if (pressed.getAttribute("aria-busy") === "true") return;
    pressed.setAttribute("aria-busy", "true");
    try {
      await what(this.guide);
    } finally {
      pressed.removeAttribute("aria-busy");
    }
  }

  #start() {
    this.#enter(0, this.store.newestTs());
  }

  #next() {
    const { step, done, doneTs } = this.memory;
    if (step === STEPS.length - 1) this.#remember({ at: "ended" });
    // Messages between the crash and this click count toward the recovery step.
    else this.#enter(step + 1, done && step === 3 ? doneTs : this.store.newestTs());
    this.render();
  }

  /** @param {number} step @param {string} since */
  #enter(step, since) {
    this.#remember({ at: "running", step, done: false, since, restarts: this.store.control?.bot.restarts ?? 0 });
    const { lasts } = STEPS[step];
    const target = this.guide.integration;
    if (lasts && target) {
      void order({ action: "plan", id: target.id, ending: "succeeded", start_lag_s: 1, duration_s: lasts });
    }
    this.render();
  }

  #leave() {
    this.#remember({ at: "away" });
    this.render();
  }

  /** @param {Partial<Memory>} news */
  #remember(news) {
    this.memory = { ...this.memory, ...news };
    sessionStorage.setItem(REMEMBERED_AS, JSON.stringify(this.memory));
  }
}

/** Does or points at what a step asks for, using the same calls as a person's clicks. */
class Guide {
  /** @param {Store} store @param {Page} page */
  constructor(store, page) {
    this.store = store;
    this.page = page;
  }

  /** The integration used in the tour: Stripe, else the first failing one, else any. */
  get integration() {
    const all = this.store.control?.integrations ?? [];
    return all.find(({ type }) => type === "stripe") ?? all.find(({ status }) => status === "error") ?? all[0];
  }

  async askStatus() {
    this.page.goToChannel();
    await this.#told(runCommand({ user: this.store.me, channel: this.store.nearestPlace({ channel: "", thread: "" }).channel, text: `${this.store.command} status` }));
  }

  async pointAtResync() {
    await this.#target();
    const button = await this.#until(() => this.#resyncButton());
    if (!button) return;
    button.scrollIntoView({ block: "center" });
    button.focus({ preventScroll: true });
    button.classList.add("pointed");
    setTimeout(() => button.classList.remove("pointed"), POINTED_MS);
  }

  async joinIn() {
    const other = this.store.people().find(({ id }) => id !== this.store.me);
    const since = this.store.newestTs();
    if (!other || !(await this.#resync(this.store.me))) return;
    await this.#until(() => syncMessages(this.store).some((message) => newer(message, since)));
    await this.#resync(other.id);
    await this.openThread();
  }

  async crash() {
    if (!this.#runningSync()) {
      const since = this.store.newestTs();
      if (!(await this.#resync(this.store.me))) return;
      await this.#until(() => syncMessages(this.store).some((message) => newer(message, since)));
    }
    await this.openThread();
    await this.#told(order({ action: "kill_bot" }));
  }

  async openThread() {
    const newest = syncMessages(this.store).at(-1);
    if (newest?.thread_ts) location.hash = hrefOf(newest.channel, newest.thread_ts);
    else showToast("No sync has a thread yet. Press Resync first.");
  }

  /** A sync without an outcome so far. */
  #runningSync() {
    const told = new Set(outcomes(this.store, "0").map(runOf));
    return syncMessages(this.store).some((message) => !told.has(runOf(message)));
  }

  /** The newest message with a Resync button; requests one if there is none. */
  async #target() {
    const find = () => resyncIn(this.store, () => true, this.integration?.id);
    if (!find()) await this.askStatus();
    else this.page.goToChannel();
    return this.#until(find);
  }

  /** @param {string} user */
  async #resync(user) {
    const found = await this.#target();
    if (!found) return false;
    const { message, block, element } = found;
    return this.#told(
      click({ user, channel: message.channel, ts: message.ts, ephemeral: false, block_id: block.block_id, action_id: element.action_id, value: element.value }),
    );
  }

  #resyncButton() {
    const all = /** @type {HTMLElement[]} */ ([...byId("messages").querySelectorAll("[data-action-id=flokit_resync], [data-action-id^='flokit_resync:']")]);
    const id = this.integration?.id;
    return all.findLast(({ dataset }) => id && dataset.value?.includes(id)) ?? all.at(-1);
  }

  /** @param {Promise<import("./api.js").Answer>} asked */
  async #told(asked) {
    const answer = await asked;
    if (!answer.ok) showToast(answer.error || "Something went wrong.");
    return answer.ok;
  }

  /**
   * Waits until `find` returns something, or the timeout passes.
   * @template T
   * @param {() => T} find
   * @returns {Promise<T>}
   */
  #until(find) {
    return new Promise((resolve) => {
      const stop = this.store.onChange(() => {
        const found = find();
        if (found) finish(found);
      });
      const timer = setTimeout(() => finish(find()), PATIENCE_MS);
      const finish = (/** @type {T} */ found) => {
        clearTimeout(timer);
        stop();
        resolve(found);
      };
      this.store.changed();
    });
  }
}

/** @returns {Memory} */
function recall() {
  /** @type {Memory} */
  const fresh = { at: "invited", step: 0, done: false, since: "0", doneTs: "0", restarts: 0 };
  try {
    const kept = { ...fresh, ...JSON.parse(sessionStorage.getItem(REMEMBERED_AS) ?? "{}") };
    return STEPS[kept.step] ? kept : fresh;
  } catch {
    return fresh;
  }
}

/** @param {{ts: string}} message @param {string} since */
function newer(message, since) {
  return Number(message.ts) > Number(since);
}

/** New, or edited. @param {Message} message @param {string} since */
function fresh(message, since) {
  return newer(message, since) || Number(message.edited?.ts ?? 0) > Number(since);
}

/** The bot's progress and outcome messages. @param {Store} store */
function syncMessages(store) {
  return store.botMessages().filter((message) => message.metadata?.event_type?.startsWith("flokit_sync_"));
}

/** @param {Store} store @param {string} since */
function outcomes(store, since) {
  return syncMessages(store).filter((message) => message.metadata?.event_type === "flokit_sync_outcome" && newer(message, since));
}

/** @param {Message} message */
function runOf(message) {
  return message.metadata?.event_payload?.run_id;
}

/** @param {Message} message */
function isJoined(message) {
  const words = JSON.stringify([message.text, message.blocks]);
  return words.includes("joined by") || new Set(message.text.match(/<@[^>]+>/g)).size > 1;
}

/**
 * The newest Resync button for the integration, or for any other if it has none.
 * @param {Store} store
 * @param {(message: Message) => boolean} wanted
 * @param {string} [integrationId]
 */
function resyncIn(store, wanted, integrationId = "") {
  const offers = store
    .botMessages()
    .reverse()
    .filter((message) => !message.thread_ts && wanted(message))
    .flatMap((message) =>
      (message.blocks ?? []).flatMap((block) =>
        [block.accessory, ...(block.elements ?? [])]
          .filter((element) => element?.action_id?.startsWith("flokit_resync"))
          .map((element) => ({ message, block, element })),
      ),
    );
  return offers.find(({ element }) => element.value?.includes(integrationId)) ?? offers[0] ?? null;
}

/** @param {...(Node | false)} children */
function buttons(...children) {
  return el("div", { class: "tour-buttons" }, ...children);
}

/** @param {string} label @param {string} testid @param {(pressed: HTMLElement) => void} act @param {boolean} [primary] */
function button(label, testid, act, primary = false) {
  return el(
    "button",
    {
      type: "button",
      class: primary ? "button button-primary" : "button",
      data: { testid },
      on: { click: (/** @type {Event} */ event) => act(/** @type {HTMLElement} */ (event.currentTarget)) },
    },
    label,
  );
}
