/**
 * Times in the reader's time zone, formatted by Slack's date tokens.
 * https://docs.slack.dev/messaging/formatting-message-text#date-formatting
 */

import { el } from "./dom.js";

const MONTH = new Intl.DateTimeFormat("en", { month: "long" });
const MONTH_SHORT = new Intl.DateTimeFormat("en", { month: "short" });
const WEEKDAY = new Intl.DateTimeFormat("en", { weekday: "long" });
const TIME = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const TIME_SECS = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit", second: "2-digit" });
const ZONE = new Intl.DateTimeFormat("en", { timeZoneName: "short" });
const RELATIVE = new Intl.RelativeTimeFormat("en", { numeric: "always" });
const HALF_A_YEAR_MS = 183 * 86_400_000;

/** How far the sandbox's clock is ahead of this machine's, in seconds. */
let moved_s = 0;

/** @param {number} seconds */
export function moveClock(seconds) {
  moved_s = seconds;
}

/** The sandbox's time, in Unix seconds. */
export function nowUnix() {
  return Date.now() / 1000 + moved_s;
}

/** @type {Record<string, (date: Date, now: Date) => string>} */
const TOKENS = {
  date_num: (date) => `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`,
  date: longDate,
  date_short: (date, now) => `${MONTH_SHORT.format(date)} ${date.getDate()}${year(date, now)}`,
  date_long: (date, now) => `${WEEKDAY.format(date)}, ${longDate(date, now)}`,
  date_pretty: (date, now) => nearDay(date, now) ?? TOKENS.date(date, now),
  date_short_pretty: (date, now) => nearDay(date, now) ?? TOKENS.date_short(date, now),
  date_long_pretty: (date, now) => nearDay(date, now) ?? TOKENS.date_long(date, now),
  day_divider_pretty: (date, now) => nearDay(date, now) ?? TOKENS.date_long(date, now),
  time: (date) => TIME.format(date),
  time_secs: (date) => TIME_SECS.format(date),
  ago,
};

/**
 * Fills in Slack's tokens; a leading "today" or the like is capitalized.
 * @param {number} unix  Seconds.
 * @param {string} format
 * @param {Date} [now]
 * @returns {string | null}  Null when this is not a moment or the format has no known token.
 */
export function formatMoment(unix, format, now = new Date(nowUnix() * 1000)) {
  const date = new Date(unix * 1000);
  if (Number.isNaN(date.getTime())) return null;
  let known = false;
  const text = format.replace(/\{([a-z_]+)\}/g, (typed, token) => {
    if (!Object.hasOwn(TOKENS, token)) return typed;
    known = true;
    return TOKENS[token](date, now);
  });
  if (!known) return null;
  return /^\{\w+_pretty\}/.test(format) ? text.charAt(0).toUpperCase() + text.slice(1) : text;
}

/**
 * A `<time>` with the full date and time in its tooltip.
 * @param {number} unix  Seconds.
 * @param {string} format
 * @param {string} [fallback]  Shown if the format can't be filled in.
 * @returns {HTMLTimeElement | Text}
 */
export function moment(unix, format, fallback = "") {
  const text = formatMoment(unix, format);
  if (text === null) return document.createTextNode(fallback || format);
  const date = new Date(unix * 1000);
  return el(
    "time",
    { datetime: date.toISOString(), title: fullTime(unix), data: { unix: String(unix), format } },
    text,
  );
}

/**
 * @param {number} unix  Seconds.
 * @returns {string}  "Tuesday, February 18th, 2014 at 6:39:42 AM UTC".
 */
export function fullTime(unix) {
  const date = new Date(unix * 1000);
  const zone = ZONE.formatToParts(date).find((part) => part.type === "timeZoneName")?.value ?? "";
  const day = `${WEEKDAY.format(date)}, ${MONTH.format(date)} ${ordinal(date.getDate())}, ${date.getFullYear()}`;
  return `${day} at ${TIME_SECS.format(date)} ${zone}`.trim();
}

/**
 * Updates texts that go stale on the page, such as "2 minutes ago" and "Today".
 * @param {ParentNode} root
 */
export function refreshMoments(root) {
  for (const node of /** @type {NodeListOf<HTMLElement>} */ (root.querySelectorAll("time[data-format]"))) {
    const text = formatMoment(Number(node.dataset.unix), node.dataset.format ?? "");
    if (text !== null && node.textContent !== text) node.textContent = text;
  }
}

/**
 * The local day of a message.
 * @param {string} ts
 * @returns {string}  "2026-02-18".
 */
export function dayOf(ts) {
  return TOKENS.date_num(new Date(Number(ts) * 1000), new Date());
}

/** @param {Date} date @param {Date} now */
function longDate(date, now) {
  return `${MONTH.format(date)} ${ordinal(date.getDate())}${year(date, now)}`;
}

/**
 * Omits the year for dates less than half a year away.
 * @param {Date} date @param {Date} now
 */
function year(date, now) {
  return Math.abs(date.getTime() - now.getTime()) < HALF_A_YEAR_MS ? "" : `, ${date.getFullYear()}`;
}

/** @param {Date} date @param {Date} now */
function nearDay(date, now) {
  const midnight = (/** @type {Date} */ at) => Date.UTC(at.getFullYear(), at.getMonth(), at.getDate());
  const days = Math.round((midnight(date) - midnight(now)) / 86_400_000);
  return { "-1": "yesterday", 0: "today", 1: "tomorrow" }[String(days)];
}

/** @param {Date} date @param {Date} now */
function ago(date, now) {
  const seconds = Math.round((date.getTime() - now.getTime()) / 1000);
  const size = Math.abs(seconds);
  if (size < 10) return "just now";
  if (size < 60) return RELATIVE.format(seconds, "second");
  if (size < 3600) return RELATIVE.format(Math.trunc(seconds / 60), "minute");
  if (size < 86_400) return RELATIVE.format(Math.trunc(seconds / 3600), "hour");
  return RELATIVE.format(Math.trunc(seconds / 86_400), "day");
}

/** @param {number} day */
function ordinal(day) {
  if (day >= 11 && day <= 13) return `${day}th`;
  return `${day}${{ 1: "st", 2: "nd", 3: "rd" }[day % 10] ?? "th"}`;
}

/** @param {number} value */
function two(value) {
  return String(value).padStart(2, "0");
}
