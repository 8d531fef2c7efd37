/**
 * The control panel: breaks things on purpose. Each order is one click, and says beforehand what
 * should happen.
 */

import { control as order } from "./api.js";
import { formatMoment, nowUnix } from "./dates.js";
import { byId, el } from "./dom.js";
import { KeyedNodes } from "./keyed.js";

/**
 * @typedef {import("./state.js").Store} Store
 * @typedef {import("./types.js").Control} Control
 * @typedef {import("./types.js").Integration} Integration
 * @typedef {{action: string, [name: string]: unknown}} Order
 */

/** @type {Record<string, string>} What FloKit's statuses are called. */
const STATUS_WORDS = { error: "❌ failing", syncing: "🔄 syncing", disconnected: "🔌 disconnected", connected: "✅ connected" };

/** @type {readonly [string, string, string][]} The value, the button, what should happen. */
const FLOKIT_WEATHER = [
  ["fine", "Fine", "FloKit answers at once."],
  ["slow", "Slow", "Answers take seconds. The bot still answers Slack in time, and what it shows comes later."],
  ["http_500", "500", "Every request fails with a server error. The bot goes on looking, less often, and says so once."],
  ["ratelimited", "429", "“Too many requests”. The bot waits as long as FloKit asks, then goes on."],
  ["garbage", "Garbage", "Answers are no JSON. The bot says that it could not look — never that a sync failed."],
  ["down", "Down", "Connections are refused. The thread is told once that FloKit cannot be reached."],
  ["hang", "Hang", "No answer ever comes. The bot gives up each look after a while and tries again."],
];

/** @type {readonly [string, string, string][]} */
const SLACK_WEATHER = [
  ["fine", "Fine", "Slack takes every call that keeps its rules."],
  ["ratelimited", "429", "Slack says “slow down”. Nothing is lost: what must be told waits, and comes once the weather is fine."],
  ["http_500", "500", "Slack's servers fail. The bot tries again, and tells each outcome once."],
];

/** @type {readonly [string, string][]} */
const ENDINGS = [
  ["succeeded", "succeeds"],
  ["failed", "fails, with the message"],
  ["failed_same", "fails again, with the same message as before"],
  ["disconnected", "ends disconnected"],
  ["vanish", "the integration is removed meanwhile"],
  ["stuck", "never ends"],
  ["hidden", "succeeds without ever showing “syncing”"],
  ["unproven", "ends, but nothing proves a success"],
  ["ignored", "is accepted, and nothing happens"],
];

/** @type {readonly [string, string, string][]} The step, the button, what should happen. */
const CLOCK_STEPS = [
  ["hour", "+1 hour", "Snoozes and patience of an hour end."],
  ["six_hours", "+6 hours", "No sync runs meanwhile: what was synced grows old, and may be told as overdue."],
  ["day", "+1 day", "The same, and a digest that was missed by more than an hour is not sent any more."],
  ["morning", "To 08:59", "Tomorrow 08:59 UTC: a digest of 09:00 UTC comes within a minute."],
];

const UNREST_S = 120;

let ids = 0;

export class ControlPanel {
  /** @type {Map<string, HTMLElement>} */
  #status = new Map();
  /** @type {Map<string, HTMLButtonElement>} By "flokit fine", "slack 429". */
  #weather = new Map();

  /** @param {Store} store */
  constructor(store) {
    this.store = store;
    this.botStatus = el("p", { class: "panel-status", data: { testid: "control-bot" } });
    const integrations = el("div", { class: "integrations" });
    this.integrations = new KeyedNodes(integrations);
    this.clock = el("p", { class: "panel-status", data: { testid: "control-clock" } });
    const unrest = this.#act(
      "Fail at random",
      `For ${UNREST_S / 60} minutes, or until a second click, integrations fail and recover. A subscribed channel gets one message each, which turns green; at the end all is repaired.`,
      { action: "unrest", seconds: UNREST_S },
      () => (this.store.control?.unrest ? "It is over, all that broke is repaired." : "Something fails now."),
      { data: { testid: "control-unrest" } },
    );
    this.unrest = /** @type {HTMLButtonElement} */ (unrest.querySelector("button"));
    this.absent = el("p", { class: "panel-note", hidden: true }, "This sandbox has nothing to control.");
    this.content = el(
      "div",
      {},
      group(
        "The bot",
        true,
        this.botStatus,
        this.#act("Kill the bot", "kill -9 to the real process. It comes back in about a second and goes on watching; the outcome is still told once.", { action: "kill_bot" }, "Killed. It should be back in about a second.", { class: "button button-danger", data: { testid: "control-kill" } }),
        this.#act("Drop socket", "Slack hangs up. The bot connects again by itself; what was saved is still told, once.", { action: "drop_socket" }, "The socket is cut.", { data: { testid: "control-drop" } }),
      ),
      group("Integrations", true, integrations),
      group(
        "Alerts",
        true,
        unrest,
        this.#act("Send a webhook", "FloKit says “integration.error”, signed. The bot looks at once, and tells only what is true.", { action: "webhook" }, "The bot took the webhook.", { data: { testid: "control-webhook" } }),
      ),
      group("The world's clock", false, this.clock, ...CLOCK_STEPS.map(([step, name, says]) => this.#act(name, says, { action: "move_clock", step }, "The clock is moved; the bot notices within two seconds.", { data: { testid: `control-clock-${step}` } }))),
      group("FloKit's weather", false, this.#choices("flokit", "FloKit's weather", FLOKIT_WEATHER)),
      group("Slack's weather", false, this.#choices("slack", "Slack's weather", SLACK_WEATHER)),
      this.#act("Start over", "The demo's integrations as they were, and fine weather. Messages stay.", { action: "reset" }, "As it was in the beginning.", { data: { testid: "control-reset" } }),
    );
    byId("control-body").append(this.absent, this.content);
  }

  render() {
    if (byId("control").hidden) return;
    const { control } = this.store;
    this.absent.hidden = Boolean(control);
    this.content.hidden = !control;
    if (!control) return;
    const words = botWords(control);
    if (this.botStatus.textContent !== words) this.botStatus.textContent = words;
    const time = clockWords(control);
    if (this.clock.textContent !== time) this.clock.textContent = time;
    this.unrest.textContent = control.unrest ? "Stop failing" : "Fail at random";
    this.integrations.show(control.integrations.map((one) => ({ key: one.id, signature: one.type, draw: () => this.#integration(one) })));
    for (const one of control.integrations) {
      const status = this.#status.get(one.id);
      const said = STATUS_WORDS[one.status] ?? one.status;
      if (status && status.textContent !== said) status.textContent = said;
    }
    for (const [key, button] of this.#weather) {
      const [of, value] = key.split(" ");
      const now = of === "flokit" ? control.weather.flokit : control.weather.slack;
      button.setAttribute("aria-pressed", String(now === value));
    }
  }

  /** @param {Integration} one */
  #integration(one) {
    const { id, name } = one;
    const status = el("span", { class: "integration-status" });
    this.#status.set(id, status);
    const message = el("input", {
      class: "input",
      value: one.error_message || one.plan?.error_message || "The credentials were rejected",
      "aria-label": `Error message of ${name}`,
    });
    const ending = el(
      "select",
      { class: "input", "aria-label": `How it ends: ${name}` },
      ...ENDINGS.map(([value, label]) => el("option", { value, selected: value === one.plan?.ending }, label)),
    );
    const lag = seconds(`Starts late by (s): ${name}`, one.plan?.start_lag_s ?? 1);
    const duration = seconds(`Lasts (s): ${name}`, one.plan?.duration_s ?? 3);
    const act = (/** @type {string} */ label, /** @type {string} */ says, /** @type {() => Order} */ what, /** @type {string} */ done) =>
      this.#act(label, says, what, `${name}: ${done}`, { data: { testid: `control-${label.toLowerCase().replaceAll(" ", "-")}` } });
    return el(
      "details",
      { class: "integration", data: { testid: "control-integration", id } },
      el("summary", {}, el("span", { class: "integration-name" }, name), status, el("span", { class: "integration-id" }, id)),
      el("label", { class: "labelled" }, el("span", {}, "Error message"), message),
      act("Make it fail", "FloKit shows it as failing, with this message. A channel that subscribed is told within half a minute; a status message shows it after Refresh.", () => ({ action: "integration", id, status: "error", error_message: message.value }), "fails now."),
      act("Fix", "It works again, with a fresh success: whoever was told of the failure is told that it is over.", () => ({ action: "repair", id }), "works again."),
      act("Get stuck", "It stays syncing for ever. Who watches it is told that nothing is confirmed, and can keep watching.", () => ({ action: "stuck", id }), "is stuck."),
      act("Finish now", "A sync that is under way ends at once, as it was planned.", () => ({ action: "finish", id }), "its sync has ended."),
      act("Disconnect", "It needs reconnecting in FloKit; a watched sync is told as disconnected.", () => ({ action: "integration", id, status: "disconnected" }), "is disconnected."),
      act("Reconnect", "It is connected, without an error and without a new success: nothing proves that it works.", () => ({ action: "integration", id, status: "connected" }), "is connected."),
      act("Vanish", "FloKit knows it no more (404); a watched sync is told as gone.", () => ({ action: "vanish", id }), "is gone."),
      el(
        "fieldset",
        { class: "plan" },
        el("legend", {}, "Its next sync"),
        el("label", { class: "labelled" }, el("span", {}, "How it ends"), ending),
        el(
          "div",
          { class: "pair" },
          el("label", { class: "labelled" }, el("span", {}, "Starts late by (s)"), lag),
          el("label", { class: "labelled" }, el("span", {}, "Lasts (s)"), duration),
        ),
        act(
          "Set",
          "Syncs that start from now on go this way. While it starts late, FloKit still shows the old status.",
          () => ({ action: "plan", id, ending: ending.value, start_lag_s: Number(lag.value), duration_s: Number(duration.value), error_message: message.value }),
          "its next sync is set.",
        ),
      ),
    );
  }

  /** @param {"flokit" | "slack"} of @param {string} label @param {readonly [string, string, string][]} weathers */
  #choices(of, label, weathers) {
    const rows = weathers.map(([value, name, says]) => {
      const row = this.#act(name, says, { action: `${of}_weather`, weather: value }, `${label}: ${name}.`, {
        "aria-pressed": "false",
        data: { testid: `control-${of}-${value}` },
      });
      this.#weather.set(`${of} ${value}`, /** @type {HTMLButtonElement} */ (row.querySelector("button")));
      return row;
    });
    return el("div", { class: "choices", role: "group", "aria-label": label }, ...rows);
  }

  /**
   * @param {string} label
   * @param {string} says  What should happen.
   * @param {Order | (() => Order)} what
   * @param {string | (() => string)} done  Asked before the order is sent.
   * @param {Record<string, unknown>} [attributes]
   */
  #act(label, says, what, done, attributes = {}) {
    const id = `act-${(ids += 1)}`;
    const send = async () => {
      const well = typeof done === "function" ? done() : done;
      const answer = await order(typeof what === "function" ? what() : what);
      const said = byId("control-said");
      said.textContent = answer.ok ? well : answer.error || "That did not work.";
      said.classList.toggle("refused", !answer.ok);
    };
    return el(
      "div",
      { class: "act" },
      el("button", { class: "button", ...attributes, type: "button", "aria-describedby": id, on: { click: () => void send() } }, label),
      el("p", { id }, says),
    );
  }
}

/** @param {string} title @param {boolean} open @param {...Node} children */
function group(title, open, ...children) {
  return el("details", { class: "group", open }, el("summary", {}, title), ...children);
}

/** @param {string} label @param {number} value */
function seconds(label, value) {
  return el("input", { class: "input", type: "number", min: 0, max: 600, step: "any", value, "aria-label": label });
}

/** @param {Control} control */
function clockWords({ clock_moved_s }) {
  if (!clock_moved_s) return "It shows the real time, and only goes forwards.";
  return `It is ${formatMoment(nowUnix(), "{date_long}, {time}")}: ${Math.round(clock_moved_s / 360) / 10} hours ahead.`;
}

/** @param {Control} control */
function botWords({ bot }) {
  const state = !bot.running && !bot.connected ? "🔴 not running" : bot.connected ? "🟢 running, connected" : "🟡 running, not connected yet";
  const process = bot.pid ? ` · process ${bot.pid}` : "";
  const restarts = bot.restarts === 1 ? "restarted once" : `restarted ${bot.restarts} times`;
  return `${state}${process} · ${bot.restarts ? restarts : "never restarted"}`;
}
