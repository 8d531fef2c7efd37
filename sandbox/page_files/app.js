/**
 * Assembles the page: the WebSocket feeds the store, the panes render it, and the person's actions go to the server.
 */

import { askTeam, changeChannel, click, clickInView, runCommand, say } from "./api.js";
import { ChannelPane } from "./channel.js";
import { Composer } from "./composer.js";
import { ControlPanel } from "./control.js";
import { moveClock, refreshMoments } from "./dates.js";
import { askToConfirm } from "./dialog.js";
import { byId } from "./dom.js";
import { encodeText } from "./encode.js";
import { Form } from "./form.js";
import { HomePane } from "./home.js";
import { Inspector } from "./inspector.js";
import { Layout } from "./layout.js";
import { MessageList } from "./list.js";
import { Live } from "./live.js";
import { Modal } from "./modal.js";
import { plainWords } from "./mrkdwn.js";
import { Panels } from "./panels.js";
import { Pointer } from "./pointer.js";
import { hrefOf, placeHref, readActingAs, readPlace, readTeam, replacePlace, saveActingAs } from "./route.js";
import { Sidebar } from "./sidebar.js";
import { Store } from "./state.js";
import { suggestCommands, suggestNames } from "./suggest.js";
import { ThreadPane } from "./thread.js";
import { prepareToast, showToast } from "./toast.js";
import { Tour } from "./tour.js";
import { Workspaces } from "./workspaces.js";

/**
 * @typedef {import("./api.js").Answer} Answer
 * @typedef {import("./state.js").Shown} Shown
 * @typedef {import("./types.js").Press} Press
 * @typedef {import("./types.js").Surroundings} Surroundings
 * @typedef {import("./types.js").Values} Values
 */

const MOMENTS_GROW_OLD_MS = 15_000;

const store = new Store();
/** @type {Surroundings} */
const anywhere = {
  get me() {
    return store.me;
  },
  userName: (id) => store.userName(id),
  people: () => store.people(),
  channelName: (id) => store.channels.get(id)?.name,
  form: new Form(),
  press: async () => {},
  confirm: (confirm, opener) => askToConfirm(confirm, opener, anywhere),
};

const channelList = listIn("messages", "new-messages");
const threadList = listIn("thread-messages", "new-replies");
const composer = new Composer({
  mount: byId("composer"),
  name: "composer",
  testids: { field: "composer", send: "composer-send" },
  suggest: (before) => suggestCommands(before, store.command, store.control?.integrations) ?? suggestNames(before, names()),
  send: (text) => (text.startsWith("/") ? sendCommand(text) : sendMessage(text, "")),
});
const threadComposer = new Composer({
  mount: byId("thread-composer"),
  name: "thread",
  testids: { field: "thread-composer", send: "thread-send" },
  suggest: (before) => suggestNames(before, names()),
  send: async (text) => {
    if (!text.startsWith("/")) return sendMessage(text, store.place.thread);
    showToast(`You can't use slash commands in threads. Mention @${store.bot.name} instead.`);
    return false;
  },
});

const sidebar = new Sidebar(store, actAs);
const workspaces = new Workspaces(store, anywhere.confirm);
const channelPane = new ChannelPane({
  store,
  list: channelList,
  composer,
  change: async (order) => void told(await changeChannel(order)),
  uninstall: (opener) => void workspaces.uninstall(opener),
});
const threadPane = new ThreadPane({ store, list: threadList, composer: threadComposer });
const layout = new Layout(() => {
  location.hash = hrefOf(store.place.channel);
});
const panels = new Panels(() => {
  layout.closeSidebar();
  store.changed();
});
const controlPanel = new ControlPanel(store);
const inspector = new Inspector(store);
const modal = new Modal(store, inView);
const home = new HomePane(store, inView);
const tour = new Tour(store, {
  goToChannel: () => goTo(store.nearestPlace({ channel: "", thread: "" })),
  closeSidebar: () => layout.closeSidebar(),
});
const live = new Live(`/page/live${location.search}`, {
  event: (event) => {
    store.apply(event);
    if (event.type === "state") settle(event.team.id);
    if (event.type === "channel_deleted") go();
    if (event.type === "state" || event.type === "control") keepTime();
  },
  online: (online) => store.setOnline(online),
});

const pointer = new Pointer();
prepareToast();
store.onChange(render);
store.onArrival(welcome);
addEventListener("hashchange", () => go());
addEventListener("online", () => live.retryNow());
document.addEventListener("visibilitychange", () => !document.hidden && live.retryNow());
byId("banner-retry").addEventListener("click", () => live.retryNow());
setInterval(() => {
  refreshMoments(document);
  controlPanel.render();
}, MOMENTS_GROW_OLD_MS);
live.connect();

function render() {
  if (pointer.isDown) return pointer.afterwards(render);
  renderBanner();
  if (!store.ready) return;
  byId("app").hidden = false;
  byId("loading").hidden = true;
  sidebar.render();
  workspaces.render();
  channelPane.render();
  threadPane.render();
  home.render();
  controlPanel.render();
  inspector.render();
  tour.render();
  layout.render();
  if (!workspaces.isLeaving) modal.render();
}

function renderBanner() {
  const sentence = !store.online
    ? "Lost the connection to the sandbox. Reconnecting…"
    : `${store.bot.name} is offline: ${store.control?.bot.running === false ? "its process is restarting" : "reconnecting"}…`;
  const banner = byId("banner");
  banner.hidden = store.online && (store.bot.connected || !store.installed);
  banner.classList.toggle("lost", !store.online);
  if (!banner.hidden && byId("banner-text").textContent !== sentence) byId("banner-text").textContent = sentence;
  byId("banner-retry").hidden = store.online;
}

/** After a snapshot, the acting person and the place must still exist. @param {string} teamId */
function settle(teamId) {
  askTeam(teamId);
  const me = readActingAs(store.people().map((user) => user.id));
  if (me !== store.me) store.actAs(me);
  go();
}

/** The sandbox's clock may have been moved. */
function keepTime() {
  moveClock(store.control?.clock_moved_s ?? 0);
  refreshMoments(document);
}

/** Goes to the location's place, or to the nearest one that exists. */
function go() {
  const before = store.place;
  const place = store.nearestPlace(readPlace());
  if (placeHref(place) !== location.hash) replacePlace(place);
  store.goTo(place);
  layout.closeSidebar();
  if (placeHref(before) === placeHref(place)) return;
  queueMicrotask(() => moveFocus(before, place));
}

/** @param {import("./state.js").Place} place */
function goTo(place) {
  if (placeHref(place) !== location.hash) location.hash = placeHref(place);
}

/** @param {import("./state.js").Place} before @param {import("./state.js").Place} now */
function moveFocus(before, now) {
  if (document.activeElement?.closest(".panel, .tour, .tabs, dialog")) return; // Don't steal the focus from these.
  if (now.home) byId("home").focus({ preventScroll: true });
  else if (now.thread && layout.threadCovers) byId("close-thread").focus();
  else if (now.thread) threadComposer.focus();
  else if (before.thread && before.channel === now.channel) {
    /** @type {HTMLElement | null} */ (
      byId("messages").querySelector(`[data-ts="${CSS.escape(before.thread)}"] [data-testid="open-thread"]`)
    )?.focus({ preventScroll: true });
  } else if (!layout.threadCovers) composer.focus();
}

/** @param {string} userId */
function actAs(userId) {
  saveActingAs(userId);
  store.actAs(userId);
  go();
}

/** Names that can be mentioned, the app first. */
function names() {
  const people = store.people().filter((user) => user.id !== store.me).map((user) => ({ name: user.name, isApp: false }));
  return [{ name: store.bot.name, isApp: true }, ...people];
}

/** @param {string} text */
async function sendCommand(text) {
  return told(await runCommand({ user: store.me, channel: store.place.channel, text }));
}

/** @param {string} text @param {string} thread */
async function sendMessage(text, thread) {
  const bot = { id: store.bot.user_id, name: store.bot.name };
  const channels = [...store.channels.values()].filter(({ kind }) => kind === "public" || kind === "private");
  const message = {
    user: store.me,
    channel: store.place.channel,
    text: encodeText(text, [bot, ...store.users.values()], channels),
  };
  return told(await say(thread ? { ...message, thread_ts: thread } : message));
}

/** @param {Shown} message @param {Press} press @param {Values} values */
async function press(message, press, values) {
  const channel = message.channel ?? store.place.channel;
  const ephemeral = Boolean(message.ephemeral);
  const shown = store.find(channel, message.ts);
  const block_id = currentBlockId(shown, press);
  const ids = (shown?.blocks ?? []).map((block) => block.block_id);
  const { action_id, value } = press;
  const known = Object.fromEntries(Object.entries(withPress(values, { ...press, block_id })).filter(([id]) => ids.includes(id)));
  told(await click({ user: store.me, channel, ts: message.ts, ephemeral, block_id, action_id, value, values: known }));
}

/** The values, including the one just pressed. @param {Values} values @param {Press} press @returns {Values} */
function withPress(values, { block_id, action_id, state }) {
  return state ? { ...values, [block_id]: { ...values[block_id], [action_id]: state } } : values;
}

/** The surroundings of a modal or the Home tab. @param {import("./types.js").View} view @returns {Surroundings} */
function inView(view) {
  const { form } = view.type === "modal" ? modal : home;
  return {
    me: store.me,
    userName: anywhere.userName,
    people: anywhere.people,
    channelName: anywhere.channelName,
    form,
    confirm: anywhere.confirm,
    press: async (press) => {
      const { block_id, action_id, value } = press;
      const values = withPress(form.values(), press);
      told(await clickInView({ user: store.me, view_id: view.id, block_id, action_id, value, values }));
    },
  };
}

/** @param {Shown} message @param {string} channel */
function showJson(message, channel) {
  panels.show("inspector");
  inspector.showMessage(channel, message.ts);
}

/**
 * The pressed element's current block ID: the message may have been edited while a dialog was open, and an edit gives
 * blocks new IDs.
 * @param {Shown | undefined} message
 * @param {Press} press
 */
function currentBlockId(message, press) {
  const holders = (message?.blocks ?? []).filter((block) =>
    [block.accessory, block.element, ...(block.elements ?? [])].some(
      (element) =>
        element?.action_id === press.action_id && (element.type !== "button" || element.value === press.value),
    ),
  );
  const holder = holders.find((block) => block.block_id === press.block_id) ?? holders[0];
  return holder?.block_id ?? press.block_id;
}

/** Shows what went wrong. @param {Answer} answer */
function told(answer) {
  if (!answer.ok) showToast(answer.error || "Something went wrong.");
  return answer.ok;
}

/** A message arrived: scrolls the lists and announces it to screen readers. @param {Shown} message @param {string} channel */
function welcome(message, channel) {
  if (channel !== store.place.channel) return;
  const own = message.user === store.me;
  const inThread = message.thread_ts !== undefined && message.thread_ts !== message.ts;
  if (inThread && message.thread_ts !== store.place.thread) return;
  // The list renders it in a microtask that isn't queued yet.
  setTimeout(() => (inThread ? threadList : channelList).arrived(own));
  if (own) return;
  const where = inThread ? " in the thread" : "";
  byId("announcer").textContent = `${store.userName(message.user)}${where}: ${plainWords(message.text, anywhere)}`;
}

/** @param {string} scroller @param {string} pill */
function listIn(scroller, pill) {
  return new MessageList({ scroller: byId(scroller), pill: byId(pill), store, press, confirm: anywhere.confirm, showJson });
}
