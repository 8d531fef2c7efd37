/**
 * Slack's mrkdwn → DOM nodes. The text is escaped, as Slack stores it: `&amp; &lt; &gt;` for
 * literal characters, `<…>` for links, mentions and dates.
 * https://docs.slack.dev/messaging/formatting-message-text
 */

import { moment } from "./dates.js";
import { el, fragment, safeLink } from "./dom.js";
import { emojiFor, SHORT_NAME } from "./emoji.js";

/** @typedef {import("./types.js").Surroundings} Surroundings */

/** @type {Record<string, "strong" | "em" | "s">} */
const STYLES = { "*": "strong", _: "em", "~": "s" };
const BARE_ADDRESS = /https?:\/\/[^\s<>|]*[^\s<>|.,:;!?)'"\]}*_~]/y;
const QUOTED = /^(?:&gt;|>) ?/;
const QUOTED_TO_THE_END = /^(?:&gt;|>){3}\s?/;

/**
 * @param {string} text
 * @param {Surroundings} around
 * @returns {DocumentFragment}
 */
export function renderMrkdwn(text, around) {
  const out = fragment();
  const parts = text.split(/```([\s\S]+?)```/);
  parts.forEach((part, index) => {
    if (index % 2) {
      out.append(el("pre", {}, unescape(part.replace(/^\n|\n$/g, ""))));
      return;
    }
    // The line breaks around a block belong to it.
    let lines = part;
    if (index > 0) lines = lines.replace(/^\n/, "");
    if (index < parts.length - 1) lines = lines.replace(/\n$/, "");
    if (lines) out.append(renderLines(lines.split("\n"), around));
  });
  return out;
}

/**
 * The text alone, for labels and announcements.
 * @param {string} text
 * @param {Surroundings} around
 */
export function plainWords(text, around) {
  return (renderMrkdwn(text, around).textContent ?? "").trim();
}

/**
 * A mention of a person, a channel or everyone.
 * @param {string} words
 * @param {boolean} [isMe]
 */
export function mention(words, isMe = false) {
  return el("span", { class: isMe ? "mention mention-me" : "mention" }, words);
}

/** @param {string[]} lines @param {Surroundings} around */
function renderLines(lines, around) {
  const out = fragment();
  let afterLine = false;
  for (let index = 0; index < lines.length; ) {
    if (QUOTED.test(lines[index])) {
      const toTheEnd = QUOTED_TO_THE_END.test(lines[index]);
      let end = index + 1;
      while (end < lines.length && (toTheEnd || QUOTED.test(lines[end]))) end += 1;
      const quoted = lines.slice(index, end);
      const bare = toTheEnd
        ? [quoted[0].replace(QUOTED_TO_THE_END, ""), ...quoted.slice(1)]
        : quoted.map((line) => line.replace(QUOTED, ""));
      const quote = el("blockquote");
      bare.forEach((line, at) => quote.append(at ? el("br") : "", renderInline(line, around)));
      out.append(quote);
      afterLine = false;
      index = end;
    } else {
      if (afterLine) out.append(el("br"));
      out.append(renderInline(lines[index], around));
      afterLine = true;
      index += 1;
    }
  }
  return out;
}

/**
 * @param {string} text  One line.
 * @param {Surroundings} around
 * @param {string} [open]  The style marks already open.
 * @returns {DocumentFragment}
 */
function renderInline(text, around, open = "") {
  const out = fragment();
  let plain = "";
  const add = (/** @type {Node | string} */ node) => {
    if (plain) out.append(unescape(plain));
    plain = "";
    out.append(node);
  };
  for (let at = 0; at < text.length; ) {
    const end = endOfToken(text, at);
    if (end) {
      const inner = text.slice(at + 1, end - 1);
      add(text[at] === "<" ? special(inner, around) : el("code", {}, unescape(inner)));
      at = end;
      continue;
    }
    const style = STYLES[text[at]];
    const close = style && !open.includes(text[at]) ? closingMark(text, at) : 0;
    if (close) {
      add(el(style, {}, renderInline(text.slice(at + 1, close), around, open + text[at])));
      at = close + 1;
      continue;
    }
    const shortName = matchAt(SHORT_NAME, text, at);
    const emoji = shortName && emojiFor(shortName[1]);
    if (emoji) {
      add(emoji);
      at += shortName[0].length;
      continue;
    }
    const address = text[at] === "h" && matchAt(BARE_ADDRESS, text, at);
    if (address) {
      add(link(unescape(address[0]), unescape(address[0])));
      at += address[0].length;
      continue;
    }
    plain += text[at];
    at += 1;
  }
  add("");
  return out;
}

/**
 * The end of a `<…>` or `code` that begins here, or 0.
 * @param {string} text @param {number} at
 */
function endOfToken(text, at) {
  const closer = { "<": ">", "`": "`" }[text[at]];
  if (!closer) return 0;
  const end = text.indexOf(closer, at + 1);
  return end > at + 1 ? end + 1 : 0;
}

/**
 * Where the style that begins here ends, or 0. As in Slack, a mark counts only at a word boundary.
 * @param {string} text @param {number} start
 */
function closingMark(text, start) {
  const mark = text[start];
  if (start > 0 && /[\p{L}\p{N}]/u.test(text[start - 1])) return 0;
  if (!text[start + 1] || /\s/.test(text[start + 1]) || text[start + 1] === mark) return 0;
  for (let at = start + 1; at < text.length; ) {
    const end = endOfToken(text, at);
    if (end) {
      at = end;
      continue;
    }
    const next = text[at + 1] ?? " ";
    if (text[at] === mark && !/\s/.test(text[at - 1]) && !/[\p{L}\p{N}]/u.test(next)) return at;
    at += 1;
  }
  return 0;
}

/**
 * The part between `<` and `>`.
 * @param {string} inner
 * @param {Surroundings} around
 * @returns {Node}
 */
function special(inner, around) {
  const bar = inner.indexOf("|");
  const target = bar < 0 ? inner : inner.slice(0, bar);
  const label = bar < 0 ? "" : unescape(inner.slice(bar + 1));
  if (target.startsWith("@")) {
    const id = target.slice(1);
    return mention(`@${around.userName(id)}`, id === around.me);
  }
  if (target.startsWith("#")) {
    const id = target.slice(1);
    return mention(`#${around.channelName(id) ?? (label || id)}`);
  }
  if (target.startsWith("!date^")) {
    const [, unix, format, address] = target.split("^");
    const shown = moment(Number(unix), unescape(format ?? ""), label);
    const anchor = address ? safeLink(unescape(address)) : null;
    anchor?.append(shown);
    return anchor ?? shown;
  }
  if (target.startsWith("!")) {
    return mention(label || `@${target.slice(1).split("^")[0]}`, /^!(here|channel|everyone)$/.test(target));
  }
  return link(unescape(target), label || unescape(target).replace(/^mailto:/, ""));
}

/** @param {string} address @param {string} label */
function link(address, label) {
  const anchor = safeLink(address);
  if (!anchor) return document.createTextNode(label);
  anchor.append(label);
  return anchor;
}

/** @param {RegExp} sticky @param {string} text @param {number} at */
function matchAt(sticky, text, at) {
  sticky.lastIndex = at;
  return sticky.exec(text);
}

/** @param {string} text */
function unescape(text) {
  return text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");
}
