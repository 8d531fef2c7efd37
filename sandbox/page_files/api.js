/**
 * The page's requests to the server. Each resolves to `ok`, or to an error to show the person.
 */

/**
 * @typedef {import("./types.js").Values} Values
 * @typedef {{ok: boolean, error?: string, ts?: string, errors?: Record<string, string> | null,
 *   url?: string, key?: string}} Answer
 */

let team = "";

/** Everything is asked of this workspace from now on. @param {string} id */
export function askTeam(id) {
  team = id;
}

/** @param {{user: string, channel: string, text: string}} command  `text` as typed, including the command's name. */
export function runCommand(command) {
  return post("/page/command", command);
}

/** @param {{user: string, channel: string, text: string, thread_ts?: string}} message  `text` escaped. */
export function say(message) {
  return post("/page/say", message);
}

/**
 * @param {{user: string, channel: string, ts: string, ephemeral: boolean,
 *   block_id: string, action_id: string, value?: string, values?: Values}} click
 */
export function click(click) {
  return post("/page/click", click);
}

/**
 * @param {{user: string, view_id: string, block_id: string, action_id: string, value?: string, values: Values}} click
 */
export function clickInView(click) {
  return post("/page/click", click);
}

/** @param {{user: string, view_id: string, values: Values}} submission */
export function submitView(submission) {
  return post("/page/view_submit", submission);
}

/** @param {{user: string, view_id: string}} view */
export function closeView(view) {
  return post("/page/view_close", view);
}

/** Tells the app that someone opened its Home tab. @param {{user: string}} opened */
export function openHome(opened) {
  return post("/page/home", opened);
}

/** @param {{user: string, channel: string, action: "archive" | "unarchive" | "remove_bot" | "invite_bot"}} order */
export function changeChannel(order) {
  return post("/page/channel", order);
}

/** @param {{action: string, [name: string]: unknown}} order  An action of the fault injection panel. */
export function control(order) {
  return post("/page/control", order);
}

/** Gets the address at which the app is installed in a workspace. @param {{install: string}} asked  Its ID. */
export function openInstallPage(asked) {
  return post("/page/another", asked);
}

/** Gets an API key of the workspace's FloKit. @param {{rights: "read" | "write"}} asked */
export function copyFlokitKey(asked) {
  return post("/page/flokit_key", asked);
}

/** Uninstalls the app from the workspace. */
export function uninstall() {
  return post("/page/uninstall", {});
}

/**
 * @param {string} path
 * @param {object} body
 * @returns {Promise<Answer>}
 */
async function post(path, body) {
  let response;
  try {
    response = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(team ? { team, ...body } : body),
    });
  } catch {
    return { ok: false, error: "The sandbox isn't responding. Is it still running?" };
  }
  try {
    const answer = await response.json();
    if (typeof answer?.ok === "boolean") return answer;
  } catch {
    // Not JSON: reported below.
  }
  return { ok: false, error: `The sandbox returned an error (HTTP ${response.status}).` };
}
