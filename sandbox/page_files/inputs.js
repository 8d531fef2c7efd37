/**
 * Block Kit input elements → DOM nodes with a value, for messages, modals and Home tabs.
 * https://docs.slack.dev/reference/block-kit/block-elements
 */

import { el } from "./dom.js";
import { plainText, renderText } from "./text.js";

/**
 * @typedef {import("./types.js").Block} Block
 * @typedef {import("./types.js").Surroundings} Surroundings
 *
 * @typedef {object} Field
 * @property {HTMLElement} node
 * @property {HTMLElement} control  Gets the focus and the ARIA states.
 * @property {() => Block} read  The value as in `state.values`.
 * @property {() => boolean} isEmpty
 *
 * @typedef {{id: string, labelled: string, around: Surroundings, kept?: Block}} Frame
 *   `labelled`: the id of the label; `kept`: the value before the redraw.
 */

/** Types that one writes into, and the browser's type for each. @type {Record<string, string>} */
const WRITTEN = { plain_text_input: "text", email_text_input: "email", url_text_input: "url", number_input: "number" };
/** @type {Record<string, [type: string, value: string]>} */
const PICKED = { datepicker: ["date", "selected_date"], timepicker: ["time", "selected_time"] };

/**
 * @param {Block} element
 * @param {Frame} frame
 * @returns {Field | null}  Null for what is no field.
 */
export function makeField(element, frame) {
  if (Object.hasOwn(WRITTEN, element.type)) return written(element, frame);
  if (Object.hasOwn(PICKED, element.type)) return picked(element, frame);
  switch (element.type) {
    case "static_select":
      return chosen(element, frame);
    case "users_select":
      return person(element, frame);
    case "multi_static_select":
    case "checkboxes":
    case "radio_buttons":
      return ticked(element, frame);
    default:
      return null;
  }
}

/** Whether it's a text field. @param {Block} element */
export function isWritten(element) {
  return Object.hasOwn(WRITTEN, element.type);
}

/** @param {Block} element @param {Frame} frame @returns {Field} */
function written(element, { id, labelled, kept }) {
  const shared = {
    id,
    class: "input",
    placeholder: plainText(element.placeholder) || null,
    maxlength: element.max_length ?? null,
    "aria-labelledby": labelled,
    autofocus: element.focus_on_load === true,
    data: { actionId: element.action_id ?? "" },
  };
  const control = element.multiline
    ? el("textarea", { ...shared, rows: 4 })
    : el("input", { ...shared, type: WRITTEN[element.type], step: element.is_decimal_allowed ? "any" : null });
  control.value = kept ? (kept.value ?? "") : (element.initial_value ?? "");
  return {
    node: control,
    control,
    read: () => ({ type: element.type, value: control.value || null }),
    isEmpty: () => control.value.trim() === "",
  };
}

/** @param {Block} element @param {Frame} frame @returns {Field} */
function picked(element, { id, labelled, kept }) {
  const [type, name] = PICKED[element.type];
  const control = el("input", { id, class: "input", type, "aria-labelledby": labelled, data: { actionId: element.action_id ?? "" } });
  control.value = (kept ? kept[name] : element[name.replace("selected", "initial")]) ?? "";
  return {
    node: control,
    control,
    read: () => ({ type: element.type, [name]: control.value || null }),
    isEmpty: () => control.value === "",
  };
}

/** @param {Block} element @param {Frame} frame @returns {Field} */
function chosen(element, { id, labelled, kept }) {
  const values = valuesOf([kept ? kept.selected_option : element.initial_option]);
  const option = (/** @type {Block} */ one) =>
    el("option", { value: one.value, selected: values.includes(one.value) }, plainText(one.text));
  const control = el(
    "select",
    { id, class: "input select", "aria-labelledby": labelled, data: { actionId: element.action_id ?? "" } },
    el("option", { value: "" }, plainText(element.placeholder) || "Choose"),
    ...(element.options ?? []).map(option),
    ...(element.option_groups ?? []).map((/** @type {Block} */ group) =>
      el("optgroup", { label: plainText(group.label) }, ...group.options.map(option)),
    ),
  );
  const pick = () => optionsOf(element).find(({ value }) => value === control.value) ?? null;
  return { node: control, control, read: () => ({ type: element.type, selected_option: pick() }), isEmpty: () => !pick() };
}

/** @param {Block} element @param {Frame} frame @returns {Field} */
function person(element, { id, labelled, around, kept }) {
  const start = (kept ? kept.selected_user : element.initial_user) ?? "";
  const people = around.people();
  const others = start && !people.some((one) => one.id === start) ? [{ id: start, name: around.userName(start) }] : [];
  const control = el(
    "select",
    { id, class: "input select", "aria-labelledby": labelled, data: { actionId: element.action_id ?? "" } },
    el("option", { value: "" }, plainText(element.placeholder) || "Choose"),
    ...[...people, ...others].map((one) => el("option", { value: one.id, selected: one.id === start }, one.name)),
  );
  return {
    node: control,
    control,
    read: () => ({ type: element.type, selected_user: control.value || null }),
    isEmpty: () => control.value === "",
  };
}

/** @param {Block} element @param {Frame} frame @returns {Field} */
function ticked(element, { id, labelled, around, kept }) {
  const many = element.type !== "radio_buttons";
  const start = kept ? (kept.selected_options ?? [kept.selected_option]) : (element.initial_options ?? [element.initial_option]);
  const values = valuesOf(start);
  // A multi-select is a list of checkboxes, so that no key has to be held while clicking.
  const boxed = element.type === "multi_static_select";
  const rows = optionsOf(element).map((one, at) => {
    const input = el("input", { type: many ? "checkbox" : "radio", name: id, value: one.value, checked: values.includes(one.value), id: `${id}-${at}` });
    const words = el("span", {}, renderText(one.text, around), one.description && el("span", { class: "field-hint" }, renderText(one.description, around)));
    return { one, input, row: el("label", { class: "check" }, input, words) };
  });
  const control = el(
    "div",
    { id, class: boxed ? "checks boxed" : "checks", role: many ? "group" : "radiogroup", tabindex: "-1", "aria-labelledby": labelled, data: { actionId: element.action_id ?? "" } },
    ...(boxed ? grouped(element, rows) : rows.map(({ row }) => row)),
  );
  const picks = () => rows.filter(({ input }) => input.checked).map(({ one }) => one);
  return {
    node: control,
    control,
    read: () => (many ? { type: element.type, selected_options: picks() } : { type: element.type, selected_option: picks()[0] ?? null }),
    isEmpty: () => picks().length === 0,
  };
}

/**
 * Rows under their group names.
 * @param {Block} element @param {{one: Block, row: HTMLElement}[]} rows
 */
function grouped(element, rows) {
  const names = new Map((element.option_groups ?? []).map((/** @type {Block} */ group) => [group.options[0], plainText(group.label)]));
  return rows.flatMap(({ one, row }) => (names.has(one) ? [el("p", { class: "checks-name" }, names.get(one)), row] : [row]));
}

/** @param {Block} element @returns {Block[]} */
export function optionsOf(element) {
  return [...(element.options ?? []), ...(element.option_groups ?? []).flatMap((/** @type {Block} */ group) => group.options)];
}

/** @param {(Block | null | undefined)[]} options */
function valuesOf(options) {
  return (options ?? []).map((one) => one?.value).filter((value) => value !== undefined);
}
