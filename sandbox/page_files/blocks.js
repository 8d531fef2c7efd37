/**
 * Block Kit blocks → DOM nodes. Interactive elements are in `elements.js`.
 * https://docs.slack.dev/reference/block-kit/blocks
 */

import { el, fragment, icon, safeLink } from "./dom.js";
import { dispatchFrom, renderElement } from "./elements.js";
import { makeField } from "./inputs.js";
import { renderMarkdown } from "./markdown.js";
import { renderRichText } from "./rich_text.js";
import { plainText, renderText } from "./text.js";

/**
 * @typedef {import("./types.js").Block} Block
 * @typedef {import("./types.js").Surroundings} Surroundings
 */

/** @type {Record<string, (block: Block, around: Surroundings) => Node>} */
const RENDERERS = { header, section, actions, context, divider, image, input, rich_text, table, markdown };

/**
 * @param {Block[]} blocks
 * @param {Surroundings} around
 * @returns {DocumentFragment}
 */
export function renderBlocks(blocks, around) {
  return fragment(
    ...blocks.map((block) => {
      const render = Object.hasOwn(RENDERERS, block.type) ? RENDERERS[block.type] : unknown;
      return render(block, around);
    }),
  );
}

/** @param {Block} block @param {Surroundings} around */
function header(block, around) {
  return el("h3", { class: "block block-header" }, renderText(block.text, around));
}

/** @param {Block} block @param {Surroundings} around */
function section(block, around) {
  const fields = (block.fields ?? []).map((/** @type {Block} */ field) =>
    el("div", { class: "field mrkdwn" }, renderText(field, around)),
  );
  return el(
    "div",
    { class: block.accessory ? "block block-section has-accessory" : "block block-section" },
    el(
      "div",
      { class: "section-body" },
      block.text && el("div", { class: "mrkdwn" }, renderText(block.text, around)),
      fields.length > 0 && el("div", { class: "fields" }, ...fields),
    ),
    block.accessory && el("div", { class: "accessory" }, element(block.accessory, block, around)),
  );
}

/** @param {Block} block @param {Surroundings} around */
function actions(block, around) {
  const elements = (block.elements ?? []).map((/** @type {Block} */ part) => element(part, block, around));
  return el("div", { class: "block block-actions" }, ...elements);
}

/** @param {Block} block @param {Surroundings} around */
function context(block, around) {
  const parts = (block.elements ?? []).map((/** @type {Block} */ part) =>
    part.type === "image" ? picture(part, "context-image") : el("span", { class: "mrkdwn" }, renderText(part, around)),
  );
  return el("div", { class: "block block-context" }, ...parts);
}

function divider() {
  return el("hr", { class: "block block-divider" });
}

/** @param {Block} block @param {Surroundings} around */
function image(block, around) {
  return el(
    "figure",
    { class: "block block-image" },
    block.title && el("figcaption", {}, renderText(block.title, around)),
    picture(block, "picture"),
  );
}

/** @param {Block} block @param {Surroundings} around */
function input(block, around) {
  const { element } = block;
  const { form } = around;
  const id = form.idOf(block, element);
  const field = makeField(element, { id, labelled: `${id}-label`, around, kept: form.keptOf(block, element) });
  const error = el("p", { class: "field-error", id: `${id}-error`, hidden: true, data: { testid: "field-error" } });
  if (field) {
    field.control.setAttribute("aria-describedby", block.hint ? `${id}-hint ${id}-error` : `${id}-error`);
    if (!block.optional) field.control.setAttribute("aria-required", "true");
    form.add({ block, element, field, error });
    if (block.dispatch_action) dispatchFrom(field, element, block, around);
  }
  return el(
    "div",
    { class: "block block-input", data: { blockId: block.block_id } },
    el("label", { id: `${id}-label`, for: id }, plainText(block.label), block.optional && el("span", { class: "optional" }, " (optional)")),
    field ? field.node : el("p", { class: "unknown" }, `(“${element.type}” isn't supported here)`),
    error,
    block.hint && el("p", { class: "field-hint", id: `${id}-hint` }, plainText(block.hint)),
  );
}

/** @param {Block} block @param {Surroundings} around */
function rich_text(block, around) {
  return el("div", { class: "block block-rich-text mrkdwn" }, renderRichText(block, around));
}

/** @param {Block} block @param {Surroundings} around */
function table(block, around) {
  const settings = block.column_settings ?? [];
  const rows = (block.rows ?? []).map((/** @type {Block[]} */ row, /** @type {number} */ rowAt) =>
    el(
      "tr",
      {},
      ...row.map((cell, at) => {
        const align = ["left", "center", "right"].includes(settings[at]?.align) ? settings[at].align : "left";
        const wrap = settings[at]?.is_wrapped ? "wrapped" : "";
        return el(
          rowAt ? "td" : "th",
          { class: `align-${align} ${wrap}`, scope: rowAt ? null : "col" },
          cell.type === "rich_text" ? renderRichText(cell, around) : String(cell.text ?? ""),
        );
      }),
    ),
  );
  return el(
    "div",
    { class: "block block-table", tabindex: "0", role: "region", "aria-label": "Table" },
    el("table", {}, el("thead", {}, rows[0]), el("tbody", {}, ...rows.slice(1))),
  );
}

/** @param {Block} block */
function markdown(block) {
  return el("div", { class: "block block-markdown mrkdwn" }, renderMarkdown(String(block.text ?? "")));
}

/** @param {Block} block */
function unknown(block) {
  return el("div", { class: "block unknown" }, `(“${block.type}” blocks aren't supported here)`);
}

/** @param {Block} part @param {Block} block @param {Surroundings} around */
function element(part, block, around) {
  if (part.type === "image") return picture(part, "thumbnail");
  return renderElement(part, block, around);
}

/**
 * An image from this origin; others aren't loaded but replaced by their alt text and a link.
 * @param {Block} block @param {string} kind
 */
function picture(block, kind) {
  const words = String(block.alt_text ?? "");
  const address = String(block.image_url ?? "");
  const url = URL.canParse(address, location.href) ? new URL(address, location.href) : null;
  if (url?.origin === location.origin) return el("img", { class: kind, src: url.href, alt: words });
  const link = safeLink(address);
  link?.append(icon("image"), words || "Image");
  return el("span", { class: `${kind} not-loaded` }, link ?? words);
}
