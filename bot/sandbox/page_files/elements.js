/**
 * Block elements that can be pressed → DOM nodes: buttons, overflow menus, selects, and fields where a
 * change is a press.
 * https://docs.slack.dev/reference/block-kit/block-elements
 */

import { el, icon, safeLink } from "./dom.js";
import { makeField } from "./inputs.js";
import { openMenu } from "./menu.js";
import { plainText } from "./text.js";

/**
 * @typedef {import("./types.js").Block} Block
 * @typedef {import("./types.js").Surroundings} Surroundings
 */

/**
 * @param {Block} element
 * @param {string} blockId
 * @param {Surroundings} around
 * @returns {Node}
 */
export function renderElement(element, blockId, around) {
  switch (element.type) {
    case "button":
    case "workflow_button":
      return button(element, blockId, around);
    case "overflow":
      return overflow(element, blockId, around);
    case "static_select":
      return select(element, blockId, around);
    default:
      return field(element, blockId, around);
  }
}

/** @param {Block} element @param {string} blockId @param {Surroundings} around */
function field(element, blockId, around) {
  const made = makeField(element, { id: `${blockId}-${element.action_id}`, labelled: "", around });
  if (!made) return el("span", { class: "unknown" }, `(“${element.type}” is not shown here)`);
  made.control.removeAttribute("aria-labelledby");
  made.control.setAttribute("aria-label", plainText(element.placeholder) || "Choose");
  made.node.addEventListener("change", () => void pressed(made.control, element, blockId, made.changed(), around));
  return made.node;
}

/** @param {Block} element @param {string} blockId @param {Surroundings} around */
function button(element, blockId, around) {
  const style = ["primary", "danger"].includes(element.style) ? ` button-${element.style}` : "";
  const attributes = {
    class: `button${style}`,
    "aria-label": element.accessibility_label,
    data: { actionId: element.action_id ?? "", value: element.value ?? "" },
  };
  const press = (/** @type {Event} */ event) =>
    void pressed(/** @type {HTMLElement} */ (event.currentTarget), element, blockId, element.value, around);
  if (!element.url) return el("button", { ...attributes, type: "button", on: { click: press } }, plainText(element.text));
  const link = safeLink(String(element.url));
  if (!link) return el("button", { ...attributes, type: "button", disabled: true }, plainText(element.text));
  link.className = attributes.class;
  if (element.accessibility_label) link.setAttribute("aria-label", element.accessibility_label);
  Object.assign(link.dataset, attributes.data);
  link.append(plainText(element.text));
  link.addEventListener("click", press); // Slack tells the app of it as well.
  return link;
}

/** @param {Block} element @param {string} blockId @param {Surroundings} around */
function overflow(element, blockId, around) {
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
      void pressed(opener, element, blockId, String(option.value ?? ""), around);
    },
  }));
  opener.addEventListener("click", () => openMenu(opener, options));
  return el("span", { class: "menu-anchor" }, opener);
}

/** @param {Block} element @param {string} blockId @param {Surroundings} around */
function select(element, blockId, around) {
  const name = plainText(element.placeholder) || "Choose";
  const chosen = element.initial_option?.value;
  const option = (/** @type {Block} */ one) =>
    el("option", { value: one.value ?? "", selected: one.value === chosen }, plainText(one.text));
  const groups = (element.option_groups ?? []).map((/** @type {Block} */ group) =>
    el("optgroup", { label: plainText(group.label) }, ...(group.options ?? []).map(option)),
  );
  const field = el(
    "select",
    { class: "button select", "aria-label": name, data: { actionId: element.action_id ?? "" } },
    chosen === undefined && el("option", { value: "", disabled: true, selected: true, hidden: true }, name),
    ...(element.options ?? []).map(option),
    ...groups,
  );
  field.addEventListener("change", () => void pressed(field, element, blockId, field.value, around));
  return field;
}

/**
 * Asks first where the element wants that, then presses; meanwhile it cannot be pressed again.
 * It stays focusable, so that whoever pressed it by keyboard is not thrown out.
 * @param {HTMLElement} control
 * @param {Block} element
 * @param {string} blockId
 * @param {string | undefined} value
 * @param {Surroundings} around
 */
async function pressed(control, element, blockId, value, around) {
  if (control.getAttribute("aria-busy") === "true") return;
  if (element.confirm && !(await around.confirm(element.confirm, control))) return;
  control.setAttribute("aria-busy", "true");
  control.setAttribute("aria-disabled", "true");
  try {
    await around.press({ block_id: blockId, action_id: String(element.action_id ?? ""), value });
  } finally {
    control.removeAttribute("aria-busy");
    control.removeAttribute("aria-disabled");
  }
}
