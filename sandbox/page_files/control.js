/**
 * The fault injection panel: breaks things on purpose. Each action is one click, labeled with the expected
 * result.
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

/** @type {readonly [string, string, string][]} Value, button, expected result. */
const FLOKIT_WEATHER = [
  ["fine", "Fine", "FloKit responds immediately."],
  ["slow", "Slow", "Responses take seconds. The bot still acknowledges Slack in time and shows data later."],
  ["http_500", "500", "Every request fails with a server error. The bot keeps checking, less often, and says so once."],
  ["ratelimited", "429", "“Too many requests”. The bot waits as long as FloKit asks, then continues."],
  ["garbage", "Garbage", "Responses aren't JSON. The bot says it couldn't check, and never that a sync failed."],
  ["down", "Down", "Connections are refused. The bot says once in the thread that FloKit is unreachable."],
  ["hang", "Hang", "Requests never get a response. The bot times out and tries again."],
];

/** @type {readonly [string, string, string][]} */
const SLACK_WEATHER = [
  ["fine", "Fine", "Slack accepts every valid call."],
  ["ratelimited", "429", "Slack rate-limits every call. Messages are queued and sent once this is back to Fine."],
  ["http_500", "500", "Slack's servers fail. The bot retries and posts each outcome once."],
];

/** @type {readonly [string, string][]} */
const ENDINGS = [
  ["succeeded", "succeeds"],
  ["failed", "fails with the error message"],
  ["failed_same", "fails with the same error as before"],
  ["disconnected", "ends disconnected"],
  ["vanish", "the integration is removed during the sync"],
  ["stuck", "never ends"],
  ["hidden", "succeeds without ever showing “syncing”"],
  ["unproven", "ends without proof of success"],
  ["ignored", "is accepted, but nothing happens"],
];

/** @type {readonly [string, string, string][]} Step, button, expected result. */
const CLOCK_STEPS = [
  ["hour", "+1 hour", "One-hour snoozes and time limits expire."],
  ["six_hours", "+6 hours", "No syncs run in the meantime, so integrations may become overdue."],
  ["day", "+1 day", "The same. Digests missed by more than an hour are skipped."],
  ["morning", "To 08:59", "Tomorrow, 08:59 UTC. A digest due at 09:00 UTC arrives within a minute."],
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
      `Integrations fail and recover for ${UNREST_S / 60} minutes, or until you click again. A subscribed channel gets one message per failure, updated when it recovers. Everything is repaired at the end.`,
      { action: "unrest", seconds: UNREST_S },
      () => (this.store.control?.unrest ? "Stopped. Everything is repaired." : "Something is failing now."),
      { data: { testid: "control-unrest" } },
    );
    this.unrest = /** @type {HTMLButtonElement} */ (unrest.querySelector("button"));
    this.absent = el("p", { class: "panel-note", hidden: true }, "Fault injection isn't available in this sandbox.");
    this.content = el(
      "div",
      {},
      group(
        "The bot",
        true,
        this.botStatus,
        this.#act("Kill the bot", "Sends kill -9 to the real process. It restarts in about a second and keeps watching; each outcome is still posted once.", { action: "kill_bot" }, "Killed. It should be back in about a second.", { class: "button button-danger", data: { testid: "control-kill" } }),
        this.#act("Drop socket", "Slack closes the WebSocket. The bot reconnects; anything saved is still posted, once.", { action: "drop_socket" }, "Socket closed.", { data: { testid: "control-drop" } }),
      ),
      group("Integrations", true, integrations),
      group(
        "Alerts",
        true,
        unrest,
        this.#act("Send a webhook", "FloKit sends a signed “integration.error” event. The bot checks right away and posts only what FloKit confirms.", { action: "webhook" }, "The bot accepted the webhook.", { data: { testid: "control-webhook" } }),
      ),
      group("Clock", false, this.clock, ...CLOCK_STEPS.map(([step, name, says]) => this.#act(name, says, { action: "move_clock", step }, "Clock moved. The bot notices within two seconds.", { data: { testid: `control-clock-${step}` } }))),
      group("FloKit API", false, this.#choices("flokit", "FloKit API", FLOKIT_WEATHER)),
      group("Slack API", false, this.#choices("slack", "Slack API", SLACK_WEATHER)),
      this.#act("Start over", "Restores the demo integrations and clears all faults. Messages stay.", { action: "reset" }, "Everything is reset.", { data: { testid: "control-reset" } }),
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
      { class: "input", "aria-label": `Result: ${name}` },
      ...ENDINGS.map(([value, label]) => el("option", { value, selected: value === one.plan?.ending }, label)),
    );
    const lag = seconds(`Start delay (s): ${name}`, one.plan?.start_lag_s ?? 1);
    const duration = seconds(`Duration (s): ${name}`, one.plan?.duration_s ?? 3);
    const act = (/** @type {string} */ label, /** @type {string} */ says, /** @type {() => Order} */ what, /** @type {string} */ done) =>
      this.#act(label, says, what, `${name}: ${done}`, { data: { testid: `control-${label.toLowerCase().replaceAll(" ", "-")}` } });
    return el(
      "details",
      { class: "integration", data: { testid: "control-integration", id } },
      el("summary", {}, el("span", { class: "integration-name" }, name), status, el("span", { class: "integration-id" }, id)),
      el("label", { class: "labelled" }, el("span", {}, "Error message"), message),
      act("Make it fail", "FloKit shows this error. Subscribed channels are notified within 30 seconds; a status message shows it after Refresh.", () => ({ action: "integration", id, status: "error", error_message: message.value }), "is failing."),
      act("Fix", "It works again, with a new successful sync. Channels notified of the failure see that it's resolved.", () => ({ action: "repair", id }), "works again."),
      act("Get stuck", "It keeps syncing forever. People who are watching learn that nothing is confirmed, and can keep watching.", () => ({ action: "stuck", id }), "is stuck."),
      act("Finish now", "Ends the current sync now, with its planned result.", () => ({ action: "finish", id }), "sync ended."),
      act("Disconnect", "It needs to be reconnected in FloKit. A watched sync ends as disconnected.", () => ({ action: "integration", id, status: "disconnected" }), "is disconnected."),
      act("Reconnect", "It's connected again with no error, but no new sync proves that it works.", () => ({ action: "integration", id, status: "connected" }), "is connected."),
      act("Vanish", "FloKit returns 404 for it. A watched sync ends as removed.", () => ({ action: "vanish", id }), "was removed."),
      el(
        "fieldset",
        { class: "plan" },
        el("legend", {}, "Next sync"),
        el("label", { class: "labelled" }, el("span", {}, "Result"), ending),
        el(
          "div",
          { class: "pair" },
          el("label", { class: "labelled" }, el("span", {}, "Start delay (s)"), lag),
          el("label", { class: "labelled" }, el("span", {}, "Duration (s)"), duration),
        ),
        act(
          "Set",
          "Applies to syncs that start from now on. During the start delay, FloKit still shows the old status.",
          () => ({ action: "plan", id, ending: ending.value, start_lag_s: Number(lag.value), duration_s: Number(duration.value), error_message: message.value }),
          "next sync set.",
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
   * @param {string} says  The expected result.
   * @param {Order | (() => Order)} what
   * @param {string | (() => string)} done  A function is called before the order is sent.
   * @param {Record<string, unknown>} [attributes]
   */
  #act(label, says, what, done, attributes = {}) {
    const id = `act-${(ids += 1)}`;
    const send = async () => {
      const well = typeof done === "function" ? done() : done;
      const answer = await order(typeof what === "function" ? what() : what);
      const said = byId("control-said");
      said.textContent = answer.ok ? well : answer.error || "Something went wrong.";
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
  if (!clock_moved_s) return "Real time. The clock only moves forward.";
  return `It's ${formatMoment(nowUnix(), "{date_long}, {time}")}: ${Math.round(clock_moved_s / 360) / 10} hours ahead.`;
}

/** @param {Control} control */
function botWords({ bot }) {
  const state = !bot.running && !bot.connected ? "🔴 not running" : bot.connected ? "🟢 running, connected" : "🟡 running, not connected yet";
  const process = bot.pid ? ` · process ${bot.pid}` : "";
  const restarts = bot.restarts === 1 ? "restarted once" : `restarted ${bot.restarts} times`;
  return `${state}${process} · ${bot.restarts ? restarts : "never restarted"}`;
}
