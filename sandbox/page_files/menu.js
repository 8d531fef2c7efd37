/**
 * A small menu under the button that opens it: arrows, Home, End, Enter and Escape as in any menu.
 */

import { el } from "./dom.js";

/** @typedef {{label: string, value: string, choose: () => void}} MenuOption */

/**
 * Opens the menu beside the button, or closes it if it's open.
 * @param {HTMLElement} opener  Inside a `.menu-anchor`.
 * @param {MenuOption[]} options
 */
export function openMenu(opener, options) {
  const anchor = opener.parentElement;
  const open = anchor?.querySelector(".menu");
  if (!anchor || open) {
    open?.dispatchEvent(new Event("dismiss"));
    return;
  }
  const close = (/** @type {boolean} */ giveBack) => {
    menu.remove();
    opener.setAttribute("aria-expanded", "false");
    document.removeEventListener("pointerdown", outside, true);
    if (giveBack) opener.focus();
  };
  const outside = (/** @type {Event} */ event) => {
    if (!anchor.contains(/** @type {Node} */ (event.target))) close(false);
  };
  const items = options.map((option) =>
    el(
      "button",
      {
        type: "button",
        class: "menu-item",
        role: "menuitem",
        tabindex: "-1",
        data: { value: option.value },
        on: {
          click: () => {
            close(true);
            option.choose();
          },
        },
      },
      option.label,
    ),
  );
  const menu = el("div", { class: "menu", role: "menu", "aria-label": "More actions" }, ...items);
  menu.addEventListener("dismiss", () => close(true));
  menu.addEventListener("focusout", (event) => {
    if (event.relatedTarget && !anchor.contains(/** @type {Node} */ (event.relatedTarget))) close(false);
  });
  menu.addEventListener("keydown", (event) => {
    const at = items.indexOf(/** @type {HTMLButtonElement} */ (document.activeElement));
    /** @type {Record<string, number>} */
    const moves = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1 };
    if (event.key in moves) items[(moves[event.key] + items.length) % items.length]?.focus();
    else if (event.key === "Escape") close(true);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  anchor.append(menu);
  opener.setAttribute("aria-expanded", "true");
  document.addEventListener("pointerdown", outside, true);
  items[0]?.focus();
}
