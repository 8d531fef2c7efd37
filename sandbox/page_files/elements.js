/**
 * Interactive block elements → DOM nodes: buttons, overflow menus, selects, and fields that dispatch an action on
 * change.
 * https://docs.slack.dev/reference/block-kit/block-elements
 */

import { el, icon, safeLink } from "./dom.js";
import { isWritten, makeField, optionsOf } from "./inputs.js";
import { openMenu } from "./menu.js";
import { plainText } from "./text.js";

/**
 * @typedef {import("./inputs.js").Field} Field
 * @typedef {import("./types.js").Block} Block
 * @typedef {import("./types.js").Surroundings} Surroundings
 */

/**
 * @param {Block} element
 * @param {Block} block
 * @param {Surroundings} around
 * @returns {Node}
 */
export function renderElement(element, block, around) {
  switch (element.type) {
    case "button":
    case "workflow_button":
      return button(element, block, around);
    case "overflow":
      return overflow(element, block, around);
    case "static_select":
      return select(element, block, around);
    default:
      return field(element, block, around);
  }
}

/** @param {Block} element @param {Block} block @param {Surroundings} around */
function field(element, block, around) {
  const { form } = around;
  const made = makeField(element, { id: form.idOf(block, element), labelled: "", around, kept: form.keptOf(block, element) });
  if (!made) return el("span", { class: "unknown" }, `(“${element.type}” isn't supported here)`);
  made.control.removeAttribute("aria-labelledby");
  made.control.setAttribute("aria-label", plainText(element.placeholder) || plainText(block.text) || "Choose");
  form.add({ block, element, field: made, error: null });
  made.node.addEventListener("change", () => void pressed(made.control, element, block, { state: made.read() }, around));
  return made.node;
}

/**
 * Dispatches a field's value as its block asks: on each change, on Enter, or on each character.
 * https://docs.slack.dev/reference/block-kit/composition-objects/dispatch-action-configuration-object
 * @param {Field} field @param {Block} element @param {Block} block @param {Surroundings} around
 */
export function dispatchFrom(field, element, block, around) {
  const press = () => void pressed(field.control, element, block, { state: field.read() }, around);
  if (!isWritten(element)) return field.node.addEventListener("change", press);
  const wanted = element.dispatch_action_config?.trigger_actions_on ?? ["on_enter_pressed"];
  if (wanted.includes("on_character_entered")) field.control.addEventListener("input", press);
  if (!wanted.includes("on_enter_pressed") || element.multiline) return undefined;
  return field.control.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing) return;
    event.preventDefault();
    press();
  });
}

/** @param {Block} element @param {Block} block @param {Surroundings} around */
function button(element, block, around) {
  const style = ["primary", "danger"].includes(element.style) ? ` button-${element.style}` : "";
  const attributes = {
    class: `button${style}`,
    "aria-label": element.accessibility_label,
    data: { actionId: element.action_id ?? "", value: element.value ?? "" },
  };
  const press = (/** @type {Event} */ event) =>
    void pressed(/** @type {HTMLElement} */ (event.currentTarget), element, block, { value: element.value }, around);
  if (!element.url) return el("button", { ...attributes, type: "button", on: { click: press } }, plainText(element.text));
  const link = safeLink(String(element.url));
  if (!link) return el("button", { ...attributes, type: "button", disabled: true }, plainText(element.text));
  link.className = attributes.class;
  if (element.accessibility_label) link.setAttribute("aria-label", element.accessibility_label);
  Object.assign(link.dataset, attributes.data);
  link.append(plainText(element.text));
  link.addEventListener("click", press); // As in Slack, the app is notified too.
  return link;
}

/** @param {Block} element @param {Block} block @param {Surroundings} around */
function overflow(element, block, around) {
  const opener = el(
    "button",
    {
      type: "button",
      class: "button button-icon",
      "aria-label": "More actions",
      "aria-haspopup": "menu",
      "aria-expanded": "false",
      data: { actionId: element.action_id ?? "" },
    },
    icon("more"),
  );
  const options = (element.options ?? []).map((/** @type {Block} */ option) => ({
    label: plainText(option.text),
    value: String(option.value ?? ""),
    choose: () => {
      if (option.url) safeLink(String(option.url))?.click();
      void pressed(opener, element, block, { value: String(option.value ?? "") }, around);
    },
  }));
  opener.addEventListener("click", () => openMenu(opener, options));
  return el("span", { class: "menu-anchor" }, opener);
}

/** @param {Block} element @param {Block} block @param {Surroundings} around */
function select(element, block, around) {
  const name = plainText(element.placeholder) || "Choose";
  const { form } = around;
  const kept = form.keptOf(block, element);
  const chosen = (kept ? kept.selected_option : element.initial_option)?.value;
  const option = (/** @type {Block} */ one) =>
    el("option", { value: one.value ?? "", selected: one.value === chosen }, plainText(one.text));
  const groups = (element.option_groups ?? []).map((/** @type {Block} */ group) =>
    el("optgroup", { label: plainText(group.label) }, ...(group.options ?? []).map(option)),
  );
  const control = el(
    "select",
    { id: form.idOf(block, element), class: "button select", "aria-label": name, data: { actionId: element.action_id ?? "" } },
    chosen === undefined && el("option", { value: "", disabled: true, selected: true, hidden: true }, name),
    ...(element.options ?? []).map(option),
    ...groups,
  );
  const pick = () => optionsOf(element).find(({ value }) => value === control.value) ?? null;
  const read = () => ({ type: element.type, selected_option: pick() });
  form.add({ block, element, field: { node: control, control, read, isEmpty: () => !pick() }, error: null });
  control.addEventListener("change", () => void pressed(control, element, block, { state: read() }, around));
  return control;
}

/**
 * Asks for confirmation if the element wants it, then presses; it can't be pressed again in the meantime. It stays
 * focusable, so that keyboard users keep their place.
 * @param {HTMLElement} control
 * @param {Block} element
 * @param {Block} block
 * @param {{value?: string, state?: Block}} told
 * @param {Surroundings} around
 */
async function pressed(control, element, block, told, around) {
  if (control.getAttribute("aria-busy") === "true") return;
  if (element.confirm && !(await around.confirm(element.confirm, control))) return;
  control.setAttribute("aria-busy", "true");
  control.setAttribute("aria-disabled", "true");
  try {
    await around.press({ block_id: String(block.block_id ?? ""), action_id: String(element.action_id ?? ""), ...told });
  } finally {
    control.removeAttribute("aria-busy");
    control.removeAttribute("aria-disabled");
  }
}
