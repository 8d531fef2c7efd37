/**
 * The page's state: the workspace as sent by the server, and this tab's place in it. Independent of the DOM and the
 * network.
 */

/**
 * @typedef {import("./types.js").Bot} Bot
 * @typedef {import("./types.js").Channel} Channel
 * @typedef {import("./types.js").Control} Control
 * @typedef {import("./types.js").Entry} Entry
 * @typedef {import("./types.js").LiveEvent} LiveEvent
 * @typedef {import("./types.js").Message} Message
 * @typedef {import("./types.js").Snapshot} Snapshot
 * @typedef {import("./types.js").Installable} Installable
 * @typedef {import("./types.js").Team} Team
 * @typedef {import("./types.js").User} User
 * @typedef {import("./types.js").View} View
 * @typedef {Message & {ephemeral?: boolean}} Shown  A message, or one that only this person sees.
 * @typedef {{channel: string, thread: string, home?: boolean}} Place  `thread` is "" when none is open;
 *   `home`: the app's Home tab instead of the messages with it.
 */

/** The author of Slack's own messages, such as "This message was deleted." */
const SYSTEM_USER = "USLACKBOT";
const LOG_KEEPS = 500;

export class Store {
  /** @type {Team} */
  team = { id: "", name: "" };
  /** Where the app is or was installed, the first workspace first. @type {Team[]} */
  teams = [];
  /** Where the app can be installed. @type {Installable[]} */
  installable = [];
  /** The organization that this workspace is part of. */
  org = "";
  /** Other workspaces in which the app posted something while this tab showed this one. @type {Set<string>} */
  elsewhere = new Set();
  /** Whether the app is installed in this workspace. */
  installed = true;
  canUninstall = false;
  /** Whether the app gets what people write to it directly. */
  hearsDirects = true;
  /** @type {Bot} */
  bot = { user_id: "", name: "The app", connected: true };
  command = "";
  /** Whether the app has a Home tab. */
  homeTab = false;
  /** @type {Map<string, User>} */
  users = new Map();
  /** @type {Map<string, Channel>} */
  channels = new Map();
  /** @type {Map<string, Map<string, Message>>} By channel and ts. */
  #messages = new Map();
  /** @type {Map<string, Map<string, Message>>} By user and ts. */
  #ephemerals = new Map();

  /** Null where the server has no control panel. @type {Control | null} */
  control = null;
  /** What the inspector saw, by id. @type {Map<number, Entry>} */
  log = new Map();
  /** By user. @type {Map<string, View | null>} */
  #homes = new Map();
  /** The topmost modal by user; the server keeps those below. @type {Map<string, View | null>} */
  #modals = new Map();

  /** Whether the first snapshot has arrived. */
  ready = false;
  /** Whether the server is connected. */
  online = true;
  me = "";
  /** @type {Place} */
  place = { channel: "", thread: "" };
  /** Channels where something came while this tab looked elsewhere. @type {Set<string>} */
  unread = new Set();

  /** @type {(() => void)[]} */
  #watchers = [];
  /** @type {((message: Shown, channel: string) => void)[]} */
  #greeters = [];
  #scheduled = false;

  /**
   * Calls back after changes, once per batch.
   * @param {() => void} watcher
   * @returns {() => void}  Ends that.
   */
  onChange(watcher) {
    this.#watchers.push(watcher);
    return () => {
      this.#watchers = this.#watchers.filter((other) => other !== watcher);
    };
  }

  /**
   * Calls back for each new message that the acting person can see.
   * @param {(message: Shown, channel: string) => void} greeter
   */
  onArrival(greeter) {
    this.#greeters.push(greeter);
  }

  /** @param {LiveEvent} event */
  apply(event) {
    switch (event.type) {
      case "state":
        this.#replace(event);
        break;
      case "message":
        this.#keep(this.#messages, event.channel, event.message, event.channel);
        break;
      case "message_deleted":
        this.#messages.get(event.channel)?.delete(event.ts);
        break;
      case "ephemeral":
        this.#keep(this.#ephemerals, event.user, event.message, event.message.channel ?? "");
        break;
      case "ephemeral_deleted":
        this.#ephemerals.get(event.user)?.delete(event.ts);
        break;
      case "bot":
        this.bot = { ...this.bot, connected: event.connected };
        break;
      case "channel":
        this.channels.set(event.channel.id, event.channel);
        break;
      case "channel_deleted":
        this.channels.delete(event.channel);
        break;
      case "control":
        this.control = event.control;
        break;
      case "log":
        this.#note(event.entry);
        break;
      case "view":
        this.#modals.set(event.user, event.view);
        break;
      case "home":
        this.#homes.set(event.user, event.view);
        break;
      case "teams":
        this.teams = event.teams;
        this.installable = event.installable;
        break;
      case "elsewhere":
        this.elsewhere.add(event.team);
        break;
      default:
        return; // A newer server may send more event types.
    }
    this.changed();
  }

  /** @param {boolean} online */
  setOnline(online) {
    this.online = online;
    this.changed();
  }

  /** @param {string} userId */
  actAs(userId) {
    this.me = userId;
    this.unread.clear();
    this.changed();
  }

  /** @param {Place} place */
  goTo(place) {
    this.place = place;
    this.unread.delete(place.channel);
    this.changed();
  }

  /** Whether this is the workspace that the sandbox starts with. */
  get isFirstTeam() {
    return this.team.id === this.teams[0]?.id;
  }

  /** The acting person's open modal. */
  get modal() {
    return this.#modals.get(this.me) ?? null;
  }

  /** The acting person's Home tab. */
  get home() {
    return this.#homes.get(this.me) ?? null;
  }

  /** The acting person's direct message with the app. @param {string} channel */
  isAppChannel(channel) {
    const found = this.channels.get(channel);
    return found?.kind === "im" && found.members.includes(this.bot.user_id);
  }

  /** The app's messages, including those in threads, oldest first; each with its channel. */
  botMessages() {
    return [...this.#messages]
      .flatMap(([channel, messages]) => [...messages.values()].map((message) => ({ ...message, channel })))
      .filter((message) => message.user === this.bot.user_id)
      .sort((a, b) => Number(a.ts) - Number(b.ts));
  }

  /** The ts of the newest message anywhere, or "0". */
  newestTs() {
    const all = [...this.#messages.values()].flatMap((messages) => [...messages.keys()]);
    return all.reduce((newest, ts) => (Number(ts) > Number(newest) ? ts : newest), "0");
  }

  /** The people to act as. */
  people() {
    return [...this.users.values()].filter((user) => !user.is_bot && user.id !== this.bot.user_id);
  }

  /** The acting person's sidebar: public channels and those they are a member of. */
  visibleChannels() {
    return [...this.channels.values()].filter((channel) => this.#sees(channel));
  }

  /** The place that was asked for, or else the first public channel with the bot. @param {Place} wanted @returns {Place} */
  nearestPlace(wanted) {
    const visible = this.visibleChannels();
    const home = Boolean(wanted.home && this.homeTab && this.isAppChannel(wanted.channel));
    if (visible.some((channel) => channel.id === wanted.channel)) return { ...wanted, home };
    const open = visible.filter((channel) => channel.kind === "public");
    const channel = open.find((candidate) => candidate.bot_is_member) ?? open[0] ?? visible[0];
    return { channel: channel?.id ?? "", thread: "" };
  }

  /** @param {string} id */
  userName(id) {
    if (id === this.bot.user_id) return this.bot.name;
    return this.users.get(id)?.name ?? (id === SYSTEM_USER ? "System" : id);
  }

  /** @param {string} id */
  isApp(id) {
    return id === this.bot.user_id || Boolean(this.users.get(id)?.is_bot);
  }

  /** A channel's name; a direct message is named after the others in it. @param {Channel} channel */
  channelName(channel) {
    if (channel.kind !== "im" && channel.kind !== "mpim") return channel.name;
    const others = channel.members.filter((id) => id !== this.me);
    return (others.length ? others : channel.members).map((id) => this.userName(id)).join(", ");
  }

  /** A channel's display name: "#data", "ben". @param {string} id */
  channelTitle(id) {
    const channel = this.channels.get(id);
    if (!channel) return id;
    const direct = channel.kind === "im" || channel.kind === "mpim";
    return direct ? this.channelName(channel) : `#${channel.name}`;
  }

  /** The messages in a channel itself, oldest first. @param {string} channel @returns {Shown[]} */
  roots(channel) {
    return this.#visible(channel).filter(
      (message) => !message.thread_ts || message.thread_ts === message.ts || message.subtype === "thread_broadcast",
    );
  }

  /** A thread without its first message, oldest first. @param {string} channel @param {string} ts @returns {Shown[]} */
  replies(channel, ts) {
    return this.#visible(channel).filter((message) => message.thread_ts === ts && message.ts !== ts);
  }

  /** @param {string} channel @param {string} ts @returns {Shown | undefined} */
  find(channel, ts) {
    const ephemeral = this.#ephemerals.get(this.me)?.get(ts);
    return this.#messages.get(channel)?.get(ts) ?? (ephemeral && { ...ephemeral, ephemeral: true });
  }

  /** Notifies the watchers in a microtask. */
  changed() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      for (const watcher of this.#watchers) watcher();
    });
  }

  /** @param {string} channel @returns {Shown[]} */
  #visible(channel) {
    /** @type {Shown[]} */
    const own = [...(this.#ephemerals.get(this.me)?.values() ?? [])]
      .filter((message) => message.channel === channel)
      .map((message) => ({ ...message, ephemeral: true }));
    return [...(this.#messages.get(channel)?.values() ?? []), ...own].sort((a, b) => Number(a.ts) - Number(b.ts));
  }

  /** @param {Channel} channel */
  #sees(channel) {
    return channel.kind === "public" || channel.members.includes(this.me);
  }

  /** @param {Snapshot} snapshot */
  #replace(snapshot) {
    const byTs = (/** @type {Message[]} */ messages) => new Map(messages.map((message) => [message.ts, message]));
    this.team = snapshot.team;
    this.teams = snapshot.teams ?? [snapshot.team];
    this.installable = snapshot.installable ?? [];
    this.org = snapshot.org ?? "";
    this.installed = snapshot.installed ?? true;
    this.canUninstall = snapshot.can_uninstall ?? false;
    this.hearsDirects = snapshot.hears_directs ?? true;
    this.bot = snapshot.bot;
    this.command = snapshot.command;
    this.homeTab = snapshot.home_tab;
    this.users = new Map(snapshot.users.map((user) => [user.id, user]));
    this.channels = new Map(snapshot.channels.map((channel) => [channel.id, channel]));
    this.#messages = new Map(Object.entries(snapshot.messages).map(([id, messages]) => [id, byTs(messages)]));
    this.#ephemerals = new Map(Object.entries(snapshot.ephemerals).map(([id, messages]) => [id, byTs(messages)]));
    this.control = snapshot.control ?? null;
    this.log = new Map((snapshot.log ?? []).map((entry) => [entry.id, entry]));
    this.#homes = new Map(Object.entries(snapshot.homes ?? {}));
    this.#modals = new Map(Object.entries(snapshot.modals ?? {}));
    this.ready = true;
  }

  /** @param {Entry} entry */
  #note(entry) {
    this.log.set(entry.id, entry);
    if (this.log.size > LOG_KEEPS) this.log.delete(Math.min(...this.log.keys()));
  }

  /**
   * @param {Map<string, Map<string, Message>>} shelf
   * @param {string} key
   * @param {Message} message
   * @param {string} channelId
   */
  #keep(shelf, key, message, channelId) {
    const kept = shelf.get(key) ?? new Map();
    shelf.set(key, kept);
    const isNew = !kept.has(message.ts);
    kept.set(message.ts, message);
    const ephemeral = shelf === this.#ephemerals;
    const channel = this.channels.get(channelId);
    if (!isNew || !channel || !this.#sees(channel) || (ephemeral && key !== this.me)) return;
    if (channelId !== this.place.channel && message.user !== this.me) this.unread.add(channelId);
    for (const greeter of this.#greeters) greeter({ ...message, ephemeral }, channelId);
  }
}
