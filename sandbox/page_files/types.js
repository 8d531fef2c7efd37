/**
 * The shapes sent by the server (see `sandbox/page.py`) and passed between modules.
 * Types only: importing this file does nothing.
 *
 * @typedef {{id: string, name: string}} Team  A workspace.
 *
 * @typedef {{id: string, name: string, is_bot: boolean}} User
 *
 * @typedef {object} Channel
 * @property {string} id
 * @property {string} name
 * @property {"public" | "private" | "im" | "mpim"} kind
 * @property {string[]} members
 * @property {boolean} bot_is_member
 * @property {boolean} is_archived
 *
 * @typedef {{name: string, count?: number, users?: string[]}} Reaction
 *
 * @typedef {object} Message
 * @property {string} ts
 * @property {string} [thread_ts]
 * @property {string} user
 * @property {string} text
 * @property {Block[]} [blocks]
 * @property {{ts: string}} [edited]
 * @property {number} [reply_count]
 * @property {Reaction[]} [reactions]
 * @property {string} [subtype]
 * @property {{event_type?: string, event_payload?: Record<string, any>}} [metadata]
 * @property {string} [channel]  Set on ephemeral messages only.
 *
 * A Block Kit block, block element or text object, as Slack documents them.
 * @typedef {Record<string, any>} Block
 *
 * Input values, by block and action.
 * @typedef {Record<string, Record<string, Block>>} Values
 *
 * @typedef {{user_id: string, name: string, connected: boolean}} Bot
 *
 * @typedef {object} Plan  How an integration's next syncs behave.
 * @property {string} ending
 * @property {number} start_lag_s
 * @property {number} duration_s
 * @property {string} [error_message]
 *
 * @typedef {object} Integration  As the local FloKit has it.
 * @property {string} id
 * @property {string} type
 * @property {string} name  Its type's display name.
 * @property {string} status
 * @property {string | null} error_message
 * @property {string | null} last_synced_at
 * @property {Plan} plan
 *
 * @typedef {object} Control  What the fault injection panel shows.
 * @property {{running: boolean, connected: boolean, pid: number | null, restarts: number}} bot
 * @property {Integration[]} integrations
 * @property {{flokit: string, slack: string}} weather
 * @property {boolean} unrest  Whether integrations fail at random.
 * @property {number} clock_moved_s  How far the world's clock is ahead.
 *
 * @typedef {object} Entry  One recorded exchange.
 * @property {number} id
 * @property {number} at  Unix seconds.
 * @property {"web_api" | "envelope" | "response_url" | "flokit"} kind
 * @property {string} title
 * @property {boolean | null} ok  Null: no response yet.
 * @property {number | null} status
 * @property {string} error
 * @property {number | null} took_ms
 * @property {unknown} request
 * @property {unknown} response
 *
 * @typedef {object} View  A modal or an App Home, as Slack documents them.
 * @property {string} id
 * @property {string} [hash]
 * @property {string} [callback_id]
 * @property {string} type
 * @property {Block[]} blocks
 * @property {Block} [title]
 * @property {Block} [submit]
 * @property {Block} [close]
 *
 * @typedef {{id: string, name: string, is_org: boolean}} Installable  A workspace or an organization that lacks the app.
 *
 * @typedef {object} Snapshot  The first message of the WebSocket.
 * @property {"state"} type
 * @property {Team} team
 * @property {Team[]} [teams]  Where the app is or was installed, the first workspace first.
 * @property {Installable[]} [installable]  Where it can be installed.
 * @property {string} [org]  The organization that the workspace is part of.
 * @property {boolean} [installed]  Whether it's installed in this workspace.
 * @property {boolean} [can_uninstall]
 * @property {boolean} [hears_directs]  Whether the app gets what people write to it directly.
 * @property {Bot} bot
 * @property {string} command
 * @property {boolean} home_tab  Whether the app has one.
 * @property {User[]} users
 * @property {Channel[]} channels
 * @property {Record<string, Message[]>} messages
 * @property {Record<string, Message[]>} ephemerals
 * @property {Control} [control]
 * @property {Entry[]} [log]  Newest first.
 * @property {Record<string, View | null>} [homes]  By user.
 * @property {Record<string, View | null>} [modals]  The topmost of each user.
 *
 * @typedef {Snapshot
 *   | {type: "message", channel: string, message: Message}
 *   | {type: "message_deleted", channel: string, ts: string}
 *   | {type: "ephemeral", user: string, message: Message}
 *   | {type: "ephemeral_deleted", user: string, ts: string}
 *   | {type: "bot", connected: boolean}
 *   | {type: "channel", channel: Channel}
 *   | {type: "channel_deleted", channel: string}
 *   | {type: "control", control: Control}
 *   | {type: "log", entry: Entry}
 *   | {type: "view", user: string, view: View | null, replaces: string | null}
 *   | {type: "home", user: string, view: View | null}
 *   | {type: "teams", teams: Team[], installable: Installable[]}
 *   | {type: "elsewhere", team: string}} LiveEvent
 *
 * @typedef {object} Press  A person's action on a block element.
 * @property {string} block_id
 * @property {string} action_id
 * @property {string} [value]  Of a button or menu; absent if it has none.
 * @property {Block} [state]  Of an input element: its part of `state.values`.
 *
 * What a renderer needs from the page.
 * @typedef {object} Surroundings
 * @property {string} me
 * @property {(userId: string) => string} userName
 * @property {() => User[]} people
 * @property {(channelId: string) => string | undefined} channelName
 * @property {import("./form.js").Form} form
 * @property {(press: Press) => Promise<void>} press
 * @property {(confirm: Block, opener: HTMLElement) => Promise<boolean>} confirm
 * @property {() => void} [showJson]  Absent if there is nothing to show.
 */

export {};
