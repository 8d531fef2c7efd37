/**
 * Emoji by Slack's short names. Unknown names are left unchanged.
 * Names: https://slack.com/help/articles/202931348
 */

/** @type {Record<string, string>} */
const EMOJI = {
  "+1": "👍", "-1": "👎", "100": "💯",
  alarm_clock: "⏰", arrow_down: "⬇️", arrow_forward: "▶️", arrow_left: "⬅️", arrow_right: "➡️", arrow_up: "⬆️",
  arrows_clockwise: "🔃", arrows_counterclockwise: "🔄", ballot_box_with_check: "☑️", bangbang: "‼️",
  bar_chart: "📊", beetle: "🐞", bell: "🔔", black_circle: "⚫", black_small_square: "▪️", blue_heart: "💙", blush: "😊",
  boom: "💥", bug: "🐛", bulb: "💡", calendar: "📆", chart_with_downwards_trend: "📉",
  chart_with_upwards_trend: "📈", clap: "👏", clipboard: "📋", clock1: "🕐", clock3: "🕒", construction: "🚧",
  cry: "😢", date: "📅", double_vertical_bar: "⏸️", electric_plug: "🔌", exclamation: "❗", eyes: "👀",
  fire: "🔥", gear: "⚙️", grey_exclamation: "❕", grey_question: "❔", grinning: "😀", hammer_and_wrench: "🛠️",
  heart: "❤️", heavy_check_mark: "✔️", heavy_minus_sign: "➖", heavy_multiplication_x: "✖️", heavy_plus_sign: "➕",
  hourglass: "⌛", hourglass_flowing_sand: "⏳", inbox_tray: "📥", information_source: "ℹ️", joy: "😂", key: "🔑",
  large_blue_circle: "🔵", large_brown_circle: "🟤", large_green_circle: "🟢", large_orange_circle: "🟠",
  large_purple_circle: "🟣", large_yellow_circle: "🟡", link: "🔗", lock: "🔒", mag: "🔍", mega: "📣", memo: "📝",
  mute: "🔇", negative_squared_cross_mark: "❎", no_bell: "🔕", no_entry: "⛔", no_entry_sign: "🚫", ok: "🆗",
  ok_hand: "👌", outbox_tray: "📤", package: "📦", partying_face: "🥳", point_down: "👇", point_left: "👈",
  point_right: "👉", point_up: "☝️", pray: "🙏", pushpin: "📌", question: "❓", raised_hands: "🙌", red_circle: "🔴",
  repeat: "🔁", robot_face: "🤖", rocket: "🚀", rotating_light: "🚨", satellite: "🛰️", satellite_antenna: "📡",
  shrug: "🤷", slightly_smiling_face: "🙂", small_blue_diamond: "🔹", small_orange_diamond: "🔸",
  smile: "😄", smiley: "😃", sparkles: "✨", speech_balloon: "💬", star: "⭐", stopwatch: "⏱️", sweat_smile: "😅",
  tada: "🎉", thinking_face: "🤔", thumbsdown: "👎", thumbsup: "👍", timer_clock: "⏲️", unlock: "🔓", warning: "⚠️",
  wave: "👋", white_check_mark: "✅", white_circle: "⚪", white_small_square: "▫️", wrench: "🔧", x: "❌",
  zap: "⚡", zzz: "💤",
};

/** One short name between colons; with the `y` flag, for matching at `lastIndex`. */
export const SHORT_NAME = /:([a-z0-9_+'-]+):/y;

/**
 * @param {string} name  Without colons.
 * @returns {string | undefined}
 */
export function emojiFor(name) {
  return Object.hasOwn(EMOJI, name) ? EMOJI[name] : undefined;
}

/**
 * Replaces short names in plain text.
 * @param {string} text
 */
export function withEmoji(text) {
  return text.replace(/:([a-z0-9_+'-]+):/g, (typed, name) => emojiFor(name) ?? typed);
}
