/**
 * Completions for the text before the caret: the app's commands and names.
 */

/**
 * @typedef {{insert: string, label: string, hint: string}} Suggestion
 * @typedef {{from: number, options: Suggestion[], complete: boolean}} Suggestions
 *   `from` is where the replaced text begins; `complete` means that the text is already valid, so Enter sends it.
 */

/** @type {readonly {words: string, argument?: string, hint: string}[]} */
const COMMANDS = [
  { words: "status", hint: "All integrations, failing ones first" },
  { words: "status failing", hint: "Only failing integrations" },
  { words: "show", argument: "name", hint: "One integration in detail" },
  { words: "sync", argument: "name", hint: "Start a sync and get its outcome" },
  { words: "help", hint: "List all commands" },
];

/** @typedef {import("./types.js").Integration} Integration */

/**
 * @param {string} before  The text before the caret, from its beginning.
 * @param {string} command  "/flokit".
 * @param {Integration[]} [integrations]  The ones to complete.
 * @returns {Suggestions | null}
 */
export function suggestCommands(before, command, integrations = []) {
  if (!before.startsWith("/")) return null;
  const verb = COMMANDS.find(({ words, argument }) => argument && before.toLowerCase().startsWith(`${command} ${words} `));
  if (verb) return suggestIntegrations(before, `${command} ${verb.words} `, integrations);
  const typed = before.toLowerCase().replace(/\s+/g, " ");
  const options = COMMANDS.map(({ words, argument, hint }) => ({
    insert: `${command} ${words}${argument ? " " : ""}`,
    label: `${command} ${words}${argument ? ` <${argument}>` : ""}`,
    hint,
  })).filter(({ insert }) => insert.startsWith(typed) && insert !== typed);
  const known = [command, ...COMMANDS.map(({ words }) => `${command} ${words}`)];
  return options.length ? { from: 0, options, complete: known.includes(typed.trim()) } : null;
}

/**
 * Completes by type, or by ID if two share a type.
 * @param {string} before
 * @param {string} start  The text before the name.
 * @param {Integration[]} integrations
 * @returns {Suggestions | null}
 */
function suggestIntegrations(before, start, integrations) {
  const plain = (/** @type {string} */ name) => name.trimStart().toLowerCase().replaceAll("_", " ");
  const typed = plain(before.slice(start.length));
  const sameType = (/** @type {Integration} */ one) => integrations.filter(({ type }) => type === one.type).length > 1;
  const options = integrations
    .map((one) => ({ one, insert: sameType(one) ? one.id : one.type }))
    .filter(({ one, insert }) => [one.type, one.id].some((name) => plain(name).startsWith(typed)) && plain(insert) !== typed)
    .map(({ one, insert }) => ({
      insert,
      label: one.type.replaceAll("_", " "),
      hint: insert === one.type ? one.status : `${one.status} · ${one.id}`,
    }));
  const complete = integrations.some(({ id, type }) => typed === plain(id) || typed === plain(type));
  return options.length ? { from: start.length, options, complete } : null;
}

/**
 * @param {string} before
 * @param {{name: string, isApp: boolean}[]} people
 * @returns {Suggestions | null}
 */
export function suggestNames(before, people) {
  const found = /(?:^|[\s(])@([\p{L}\p{N}._-]*)$/u.exec(before);
  if (!found) return null;
  const typed = found[1].toLowerCase();
  const options = people
    .filter(({ name }) => name.toLowerCase().startsWith(typed))
    .map(({ name, isApp }) => ({ insert: `@${name} `, label: `@${name}`, hint: isApp ? "App" : "Person" }));
  const complete = people.some(({ name }) => name.toLowerCase() === typed);
  return options.length ? { from: before.length - found[1].length - 1, options, complete } : null;
}
