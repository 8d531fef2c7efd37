/**
 * One message → an article: author, time, content, and a link to its thread.
 */

import { renderBlocks } from "./blocks.js";
import { formatMoment, fullTime, moment } from "./dates.js";
import { el, icon } from "./dom.js";
import { emojiFor } from "./emoji.js";
import { renderMrkdwn } from "./mrkdwn.js";

/**
 * @typedef {import("./state.js").Shown} Shown
 * @typedef {import("./types.js").Surroundings} Surroundings
 *
 * @typedef {{id: string, name: string, isApp: boolean, isBot: boolean}} Person
 *   `isBot`: the FloKit bot, which has its own avatar.
 *
 * @typedef {object} Frame  How a message fits among the others.
 * @property {Person} author
 * @property {boolean} follows  Directly below another message from the same person: no name, no avatar.
 * @property {{count: number, people: Person[], lastTs: string}} replies
 * @property {string | null} threadHref  Null if no thread can be opened.
 */

/**
 * @param {Shown} message
 * @param {Frame} frame
 * @param {Surroundings} around
 */
export function renderMessage(message, frame, around) {
  const unix = Number(message.ts);
  const marks = [
    frame.author.name,
    formatMoment(unix, "{date_short_pretty} at {time}"),
    message.edited && "edited",
    message.ephemeral && "only visible to you",
  ];
  return el(
    "article",
    {
      class: ["message", frame.follows && "follows", message.ephemeral && "ephemeral"].filter(Boolean).join(" "),
      "aria-label": marks.filter(Boolean).join(", "),
      data: { testid: "message", ts: message.ts },
    },
    el("div", { class: "gutter" }, frame.follows ? timeOf(message) : avatar(frame.author)),
    el(
      "div",
      { class: "message-main" },
      message.ephemeral && el("div", { class: "only-you" }, icon("eye"), "Only visible to you"),
      !frame.follows &&
        el(
          "div",
          { class: "byline" },
          el("span", { class: "author" }, frame.author.name),
          frame.author.isApp && el("span", { class: "app-badge" }, "APP"),
          timeOf(message),
        ),
      content(message, around),
      reactions(message, around),
      frame.threadHref !== null && frame.replies.count > 0 && threadLink(frame),
    ),
    tools(frame, around),
  );
}

/**
 * Initials on a square whose color is derived from the ID; the bot has its own icon.
 * @param {Person} person
 */
export function avatar({ id, name, isBot }) {
  if (isBot) return el("span", { class: "avatar avatar-bot", "aria-hidden": "true" }, icon("flow"));
  let sum = 0;
  for (const letter of id) sum = (sum * 37 + letter.charCodeAt(0)) % 8191;
  const initials = name.split(/[\s._-]+/).filter(Boolean).map((word) => word[0]).slice(0, 2).join("");
  return el("span", { class: `avatar avatar-${sum % 8}`, "aria-hidden": "true" }, initials.toUpperCase());
}

/** @param {Shown} message @param {Surroundings} around */
function content(message, around) {
  const edited =
    message.edited && el("span", { class: "edited", title: `Edited ${fullTime(Number(message.edited.ts))}` }, "(edited)");
  if (message.blocks?.length) return el("div", { class: "content" }, renderBlocks(message.blocks, around), edited);
  return el("div", { class: "content mrkdwn" }, renderMrkdwn(message.text ?? "", around), edited ? " " : "", edited);
}

/** @param {Shown} message @param {Surroundings} around */
function reactions(message, around) {
  if (!message.reactions?.length) return null;
  return el(
    "div",
    { class: "reactions" },
    ...message.reactions.map((reaction) =>
      el(
        "span",
        { class: "reaction", title: [(reaction.users ?? []).map(around.userName).join(", "), `:${reaction.name}:`].filter(Boolean).join(" · ") },
        emojiFor(reaction.name) ?? `:${reaction.name}:`,
        el("span", { class: "count" }, String(reaction.count ?? reaction.users?.length ?? 1)),
      ),
    ),
  );
}

/**
 * The message's actions: shown on hover and keyboard focus; always shown on touch devices.
 * @param {Frame} frame
 * @param {Surroundings} around
 */
function tools(frame, around) {
  const reply =
    frame.threadHref !== null &&
    frame.replies.count === 0 &&
    el(
      "a",
      { class: "tool", href: frame.threadHref, title: "Reply in thread", data: { testid: "open-thread" } },
      icon("reply"),
      el("span", {}, "Reply"),
    );
  const json =
    around.showJson &&
    el(
      "button",
      { type: "button", class: "tool", title: "Show this message's JSON", data: { testid: "show-json" }, on: { click: around.showJson } },
      icon("braces"),
      el("span", {}, "Show JSON"),
    );
  return (reply || json) && el("div", { class: "message-tools" }, reply, json);
}

/** @param {Frame} frame */
function threadLink(frame) {
  const { count, people, lastTs } = frame.replies;
  return el(
    "a",
    { class: "thread-link", href: frame.threadHref, data: { testid: "open-thread" } },
    el("span", { class: "thread-avatars" }, ...people.slice(0, 4).map(avatar)),
    el("span", { class: "thread-count" }, `${count} ${count === 1 ? "reply" : "replies"}`),
    el("span", { class: "thread-last" }, "Last reply ", moment(Number(lastTs), "{ago}")),
  );
}

/** @param {Shown} message */
function timeOf(message) {
  const time = moment(Number(message.ts), "{time}");
  if (time instanceof HTMLElement) time.className = "time";
  return time;
}
