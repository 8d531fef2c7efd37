/**
 * This tab's location: the workspace in `?team=`, the place in the URL's hash (`#C0DATA/1700000000.000100`,
 * `#D0ANA/home`), and the acting person in `?as=` and sessionStorage, so that two tabs can be two people.
 */

/** @typedef {import("./state.js").Place} Place */

const ACTING_AS = "acting-as";
const HOME = "home";

/** The workspace that was asked for; "" means the first. */
export function readTeam() {
  return new URLSearchParams(location.search).get("team") ?? "";
}

/** @param {string} teamId */
export function teamHref(teamId) {
  return `/?${new URLSearchParams({ team: teamId })}`;
}

/** @returns {Place} */
export function readPlace() {
  const [channel = "", rest = ""] = decodeURIComponent(location.hash.slice(1)).split("/");
  return rest === HOME ? { channel, thread: "", home: true } : { channel, thread: rest };
}

/** @param {string} channel @param {string} [thread] */
export function hrefOf(channel, thread = "") {
  return thread ? `#${channel}/${thread}` : `#${channel}`;
}

/** The app's Home tab. @param {string} channel  The direct message with the app. */
export function homeHref(channel) {
  return `#${channel}/${HOME}`;
}

/** @param {Place} place */
export function placeHref(place) {
  return place.home ? homeHref(place.channel) : hrefOf(place.channel, place.thread);
}

/** @param {Place} place */
export function replacePlace(place) {
  history.replaceState(null, "", placeHref(place));
}

/**
 * @param {string[]} userIds  The people to choose from.
 * @returns {string}
 */
export function readActingAs(userIds) {
  const wanted = [new URLSearchParams(location.search).get("as"), sessionStorage.getItem(actingAsHere())];
  return wanted.find((id) => id && userIds.includes(id)) ?? userIds[0] ?? "";
}

/** @param {string} userId */
export function saveActingAs(userId) {
  sessionStorage.setItem(actingAsHere(), userId);
  const url = new URL(location.href);
  if (!url.searchParams.has("as")) return;
  url.searchParams.set("as", userId);
  history.replaceState(null, "", url);
}

/** People belong to one workspace. */
function actingAsHere() {
  return `${ACTING_AS} ${readTeam()}`.trim();
}
