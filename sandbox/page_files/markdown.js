/**
 * Markdown → DOM nodes: the subset that Slack's `markdown` block supports.
 * https://docs.slack.dev/reference/block-kit/blocks/markdown-block
 */

import { el, fragment, safeLink } from "./dom.js";
import { withEmoji } from "./emoji.js";

const INLINE =
  /`([^`]+)`|\*\*(?=\S)([\s\S]+?)\*\*|~~(?=\S)([\s\S]+?)~~|\*(?=\S)([^*\n]+)\*|\b_(?=\S)([^_\n]+)_\b|\[([^\]\n]+)\]\(([^)\s]+)\)|(https?:\/\/[^\s<>()]*[^\s<>().,:;!?'"])/;

/**
 * @param {string} text
 * @returns {DocumentFragment}
 */
export function renderMarkdown(text) {
  const out = fragment();
  const lines = text.split("\n");
  for (let at = 0; at < lines.length; ) {
    const line = lines[at];
    const heading = /^(#{1,6})\s+(.*)$/.exec(line);
    const take = (/** @type {RegExp} */ wanted) => {
      const from = at;
      while (at < lines.length && wanted.test(lines[at])) at += 1;
      return lines.slice(from, at).map((taken) => taken.replace(wanted, ""));
    };
    if (/^```/.test(line)) {
      const end = lines.findIndex((other, index) => index > at && /^```/.test(other));
      const last = end < 0 ? lines.length : end;
      out.append(el("pre", {}, lines.slice(at + 1, last).join("\n")));
      at = last + 1;
    } else if (heading) {
      out.append(el("p", { class: "md-heading", role: "heading", "aria-level": heading[1].length }, inline(heading[2])));
      at += 1;
    } else if (/^\s*(-{3,}|\*{3,}|_{3,})\s*$/.test(line)) {
      out.append(el("hr"));
      at += 1;
    } else if (/^>/.test(line)) {
      out.append(el("blockquote", {}, renderMarkdown(take(/^>\s?/).join("\n"))));
    } else if (/^\s*[-*+]\s+/.test(line)) {
      out.append(el("ul", {}, ...take(/^\s*[-*+]\s+/).map((item) => el("li", {}, inline(item)))));
    } else if (/^\s*\d+[.)]\s+/.test(line)) {
      const start = Number.parseInt(line, 10);
      out.append(el("ol", { start }, ...take(/^\s*\d+[.)]\s+/).map((item) => el("li", {}, inline(item)))));
    } else if (line.trim() === "") {
      at += 1;
    } else {
      const from = at;
      at += 1;
      while (at < lines.length && lines[at].trim() && !/^(#{1,6}\s|```|>|\s*[-*+]\s|\s*\d+[.)]\s)/.test(lines[at])) at += 1;
      out.append(el("p", {}, inline(lines.slice(from, at).join("\n"))));
    }
  }
  return out;
}

/**
 * @param {string} text
 * @returns {DocumentFragment}
 */
function inline(text) {
  const out = fragment();
  let rest = text;
  for (let found = INLINE.exec(rest); found; found = INLINE.exec(rest)) {
    out.append(withEmoji(rest.slice(0, found.index)));
    const [typed, code, bold, strike, star, underscore, label, target, bare] = found;
    if (code) out.append(el("code", {}, code));
    else if (bold) out.append(el("strong", {}, inline(bold)));
    else if (strike) out.append(el("s", {}, inline(strike)));
    else if (star || underscore) out.append(el("em", {}, inline(star || underscore)));
    else {
      const anchor = safeLink(target ?? bare);
      anchor?.append(label ?? bare);
      out.append(anchor ?? typed);
    }
    rest = rest.slice(found.index + typed.length);
  }
  out.append(withEmoji(rest));
  return out;
}
