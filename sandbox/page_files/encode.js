/**
 * Typed text → the text that Slack would store: escaped, with names turned into mentions.
 * https://docs.slack.dev/messaging/formatting-message-text#escaping
 */

/**
 * @param {string} typed
 * @param {{id: string, name: string}[]} users
 * @param {{id: string, name: string}[]} channels
 */
export function encodeText(typed, users, channels) {
  const escaped = typed.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  return escaped
    .split(/(```[\s\S]+?```|`[^`\n]+`)/)
    .map((part, index) => (index % 2 ? part : replaceNames(part, users, channels)))
    .join("");
}

/** @param {string} text @param {{id: string, name: string}[]} users @param {{id: string, name: string}[]} channels */
function replaceNames(text, users, channels) {
  const longestFirst = (/** @type {{id: string, name: string}[]} */ named) =>
    [...named].sort((a, b) => b.name.length - a.name.length);
  let out = text.replace(/(?<![\p{L}\p{N}])@(here|channel|everyone)(?![\p{L}\p{N}_])/gu, "<!$1>");
  for (const { id, name } of longestFirst(users)) out = out.replace(named("@", name), `<@${id}>`);
  for (const { id, name } of longestFirst(channels)) out = out.replace(named("#", name), `<#${id}|${name}>`);
  return out;
}

/** @param {string} sign @param {string} name */
function named(sign, name) {
  const literal = name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  return new RegExp(`(?<![\\p{L}\\p{N}<])${sign}${literal}(?![\\p{L}\\p{N}_-])`, "giu");
}
