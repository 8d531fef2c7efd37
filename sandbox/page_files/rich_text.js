/**
 * `rich_text` blocks → DOM nodes. Nothing is parsed: each element states its type.
 * https://docs.slack.dev/reference/block-kit/blocks/rich-text-block
 */

import { moment } from "./dates.js";
import { el, fragment, safeLink } from "./dom.js";
import { emojiFor } from "./emoji.js";
import { mention } from "./mrkdwn.js";

/**
 * @typedef {import("./types.js").Block} Block
 * @typedef {import("./types.js").Surroundings} Surroundings
 */

/**
 * @param {Block} block
 * @param {Surroundings} around
 * @returns {DocumentFragment}
 */
export function renderRichText(block, around) {
  return fragment(...(block.elements ?? []).map((/** @type {Block} */ part) => renderPart(part, around)));
}

/** @param {Block} part @param {Surroundings} around */
function renderPart(part, around) {
  const pieces = () => fragment(...(part.elements ?? []).map((/** @type {Block} */ piece) => renderPiece(piece, around)));
  switch (part.type) {
    case "rich_text_section":
      return el("div", { class: "rich-section" }, pieces());
    case "rich_text_quote":
      return el("blockquote", {}, pieces());
    case "rich_text_preformatted":
      return el("pre", {}, pieces());
    case "rich_text_list":
      return el(
        part.style === "ordered" ? "ol" : "ul",
        {
          class: `rich-list indent-${Math.min(Number(part.indent) || 0, 8)}`,
          start: part.style === "ordered" && part.offset ? Number(part.offset) + 1 : null,
        },
        ...(part.elements ?? []).map((/** @type {Block} */ item) => el("li", {}, renderPart(item, around))),
      );
    default:
      return el("div", { class: "unknown" }, `(${part.type} isn't supported here)`);
  }
}

/**
 * @param {Block} piece
 * @param {Surroundings} around
 * @returns {Node}
 */
function renderPiece(piece, around) {
  const text = (/** @type {unknown} */ value) => document.createTextNode(String(value ?? ""));
  switch (piece.type) {
    case "text":
      return styled(text(piece.text), piece.style);
    case "link": {
      const anchor = safeLink(String(piece.url ?? ""));
      anchor?.append(piece.text || piece.url);
      return styled(anchor ?? text(piece.text || piece.url), piece.style);
    }
    case "emoji":
      return text(emojiFor(piece.name) ?? unicodeEmoji(piece.unicode) ?? `:${piece.name}:`);
    case "user":
      return mention(`@${around.userName(piece.user_id)}`, piece.user_id === around.me);
    case "channel":
      return mention(`#${around.channelName(piece.channel_id) ?? piece.channel_id}`);
    case "usergroup":
      return mention(`@${piece.usergroup_id}`);
    case "broadcast":
      return mention(`@${piece.range}`, true);
    case "date": {
      const shown = moment(Number(piece.timestamp), String(piece.format ?? ""), piece.fallback);
      const anchor = piece.url ? safeLink(piece.url) : null;
      anchor?.append(shown);
      return styled(anchor ?? shown, piece.style);
    }
    case "color":
      return el("code", {}, piece.value);
    default:
      return text(piece.text ?? `(${piece.type})`);
  }
}

/** @param {Node} node @param {Block | undefined} style */
function styled(node, style) {
  /** @type {["code" | "s" | "em" | "strong", string][]} */
  const styles = [["code", "code"], ["s", "strike"], ["em", "italic"], ["strong", "bold"]];
  return styles.reduce((inner, [tag, name]) => (style?.[name] ? el(tag, {}, inner) : inner), node);
}

/** @param {unknown} points  "1f44b" or "1f3f4-200d-2620". */
function unicodeEmoji(points) {
  if (typeof points !== "string" || !/^[0-9a-f]{1,6}(-[0-9a-f]{1,6})*$/i.test(points)) return undefined;
  const codes = points.split("-").map((point) => Number.parseInt(point, 16));
  return codes.every((code) => code <= 0x10ffff) ? String.fromCodePoint(...codes) : undefined;
}
