/**
 * What the page asks of the server. Every answer is a value: `ok`, or a sentence for the person.
 */

/**
 * @typedef {import("./types.js").Values} Values
 * @typedef {{ok: boolean, error?: string, ts?: string, errors?: Record<string, string> | null}} Answer
 */

/** @param {{user: string, channel: string, text: string}} command  `text` as it was typed, with the command's name. */
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

/** Tells the app that somebody looks at its Home tab. @param {{user: string}} opened */
export function openHome(opened) {
  return post("/page/home", opened);
}

/** @param {{user: string, channel: string, action: "archive" | "unarchive" | "remove_bot" | "invite_bot"}} order */
export function changeChannel(order) {
  return post("/page/channel", order);
}

/** @param {{action: string, [name: string]: unknown}} order  One of the control panel's. */
export function control(order) {
  return post("/page/control", order);
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
      body: JSON.stringify(body),
    });
  } catch {
    return { ok: false, error: "The sandbox does not answer. Is it still running?" };
  }
  try {
    const answer = await response.json();
    if (typeof answer?.ok === "boolean") return answer;
  } catch {
    // Not JSON: told below.
  }
  return { ok: false, error: `The sandbox answered with an error (HTTP ${response.status}).` };
}
