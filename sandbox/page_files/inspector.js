/**
 * The inspector: Web API calls, envelopes, response_urls and requests to FloKit, newest first, each
 * with its JSON and, if refused, the reason. Also shows the JSON of one message.
 */

import { byId, el } from "./dom.js";
import { KeyedNodes } from "./keyed.js";

/**
 * @typedef {import("./state.js").Store} Store
 * @typedef {import("./types.js").Entry} Entry
 */

/** @type {Record<string, string>} */
const KINDS = { web_api: "Web API", envelope: "Envelope", response_url: "response_url", flokit: "FloKit" };
const TIME = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });

export class Inspector {
  #kind = "";
  #refusalsOnly = false;
  /** @type {Set<number>} */
  #open = new Set();
  /** @type {{channel: string, ts: string} | null} */
  #message = null;
  #shownMessage = "";

  /** @param {Store} store */
  constructor(store) {
    this.store = store;
    const kind = el(
      "select",
      { class: "input", "aria-label": "Kind", data: { testid: "inspector-kind" } },
      el("option", { value: "" }, "Everything"),
      ...Object.entries(KINDS).map(([value, label]) => el("option", { value }, label)),
    );
    kind.addEventListener("change", () => {
      this.#kind = kind.value;
      this.render();
    });
    const refusals = el("input", { type: "checkbox", data: { testid: "inspector-refusals" } });
    refusals.addEventListener("change", () => {
      this.#refusalsOnly = refusals.checked;
      this.render();
    });
    this.message = el("section", { class: "message-json", "aria-label": "The message's JSON", hidden: true });
    this.empty = el("p", { class: "panel-note" }, "Nothing yet.");
    const list = el("div", { class: "entries", role: "group", "aria-label": "Calls, newest first" });
    this.entries = new KeyedNodes(list);
    byId("inspector-body").append(
      this.message,
      el("div", { class: "filters" }, kind, el("label", { class: "check" }, refusals, "Refusals only")),
      this.empty,
      list,
    );
  }

  /** Shows one message's JSON and updates it as the message is edited. @param {string} channel @param {string} ts */
  showMessage(channel, ts) {
    this.#message = { channel, ts };
    this.#shownMessage = "";
    this.render();
    byId("inspector-body").scrollTop = 0;
  }

  render() {
    const all = [...this.store.log.values()];
    const refused = all.filter((entry) => entry.ok === false).length;
    const badge = byId("refusals");
    badge.hidden = refused === 0;
    const words = `${refused} refused`;
    if (badge.textContent !== words) badge.textContent = words;
    if (byId("inspector").hidden) return;
    this.#renderMessage();
    const shown = all
      .filter((entry) => (!this.#kind || entry.kind === this.#kind) && (!this.#refusalsOnly || entry.ok === false))
      .sort((a, b) => b.id - a.id);
    this.empty.hidden = shown.length > 0;
    const focused = document.activeElement?.closest("[data-entry]")?.getAttribute("data-entry");
    this.entries.show(
      shown.map((entry) => ({
        key: String(entry.id),
        signature: JSON.stringify([entry.ok, entry.status, entry.error, entry.took_ms]),
        draw: () => this.#entry(entry),
      })),
    );
    if (focused && document.activeElement === document.body) {
      /** @type {HTMLElement | null} */ (byId("inspector").querySelector(`[data-entry="${focused}"] summary`))?.focus({ preventScroll: true });
    }
  }

  #renderMessage() {
    const found = this.#message && this.store.find(this.#message.channel, this.#message.ts);
    const json = found ? pretty({ ...found, ephemeral: undefined }) : "";
    this.message.hidden = !this.#message;
    if (!this.#message || (json === this.#shownMessage && json)) return;
    this.#shownMessage = json;
    const close = el(
      "button",
      {
        type: "button",
        class: "button",
        on: {
          click: () => {
            this.#message = null;
            this.render();
            byId("close-inspector").focus();
          },
        },
      },
      "Close",
    );
    this.message.replaceChildren(
      el("div", { class: "json-head" }, el("h3", {}, `Message ${this.#message.ts}`), close),
      json ? jsonBlock("The message's JSON", json, "message-json") : el("p", { class: "panel-note" }, "This message no longer exists."),
    );
  }

  /** @param {Entry} entry */
  #entry(entry) {
    const body = el("div", { class: "entry-body" });
    const fill = () => {
      if (body.firstChild) return;
      body.append(
        el("h3", {}, "Request"),
        jsonBlock("Request", pretty(entry.request)),
        el("h3", {}, entry.ok === null ? "No response yet" : "Response"),
        entry.ok === null ? "" : jsonBlock("Response", pretty(entry.response)),
      );
    };
    const details = el(
      "details",
      {
        class: entry.ok === false ? "entry refused" : "entry",
        open: this.#open.has(entry.id),
        data: { testid: "inspector-entry", entry: entry.id, kind: entry.kind },
      },
      el(
        "summary",
        {},
        el("span", { class: "entry-title" }, entry.title),
        el("span", { class: "entry-outcome" }, outcome(entry)),
        el("span", { class: "entry-about" }, `${TIME.format(entry.at * 1000)} · ${KINDS[entry.kind] ?? entry.kind}`, entry.took_ms === null ? "" : ` · ${Math.round(entry.took_ms)} ms`),
        entry.ok === false && entry.error && el("span", { class: "entry-why" }, entry.error),
      ),
      body,
    );
    if (details.open) fill();
    details.addEventListener("toggle", () => {
      if (details.open) {
        this.#open.add(entry.id);
        fill();
      } else this.#open.delete(entry.id);
    });
    return details;
  }
}

/** @param {Entry} entry */
function outcome({ ok, status }) {
  if (ok === null) return "…";
  const number = status === null ? "" : ` ${status}`;
  return ok ? `ok${number}` : `✗ refused${number}`;
}

/** @param {unknown} value */
function pretty(value) {
  return JSON.stringify(value, null, 2) ?? "—";
}

/** @param {string} label @param {string} json @param {string} [testid] */
function jsonBlock(label, json, testid = "json") {
  return el("pre", { class: "json", tabindex: "0", role: "region", "aria-label": label, data: { testid } }, json);
}
