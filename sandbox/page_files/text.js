/**
 * Text objects → DOM nodes: `plain_text` is shown verbatim, `mrkdwn` is parsed.
 * https://docs.slack.dev/reference/block-kit/composition-objects/text-object
 */

import { withEmoji } from "./emoji.js";
import { renderMrkdwn } from "./mrkdwn.js";

/**
 * @typedef {import("./types.js").Block} Block
 * @typedef {import("./types.js").Surroundings} Surroundings
 */

/**
 * @param {Block | undefined} text
 * @param {Surroundings} around
 * @returns {Node}
 */
export function renderText(text, around) {
  if (text?.type === "mrkdwn") return renderMrkdwn(String(text.text ?? ""), around);
  return document.createTextNode(plainText(text));
}

/** @param {Block | undefined} text */
export function plainText(text) {
  const words = String(text?.text ?? "");
  return text?.emoji === false ? words : withEmoji(words);
}
