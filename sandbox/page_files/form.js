/**
 * The fields of a message, modal or Home tab, and their values. As in Slack, values survive a redraw as long as the
 * IDs stay the same.
 */

/**
 * @typedef {import("./inputs.js").Field} Field
 * @typedef {import("./types.js").Block} Block
 * @typedef {import("./types.js").Values} Values
 *
 * @typedef {object} Asked
 * @property {Block} block
 * @property {Block} element
 * @property {Field} field
 * @property {HTMLElement | null} error  Where a validation error is shown; only for input blocks.
 */

let made = 0;

export class Form {
  /** In their order. @type {Asked[]} */
  asked = [];
  /** By owner, block and action. @type {Map<string, Block>} */
  #kept = new Map();
  #owner = "";
  #name = `form-${(made += 1)}`;

  /**
   * Starts a redraw; keeps the values so far.
   * @param {string} [owner]  A view's ID; a view below another keeps its values.
   */
  begin(owner = "") {
    for (const { block, element, field } of this.asked) this.#kept.set(this.#key(block, element), field.read());
    this.asked = [];
    this.#owner = owner;
  }

  /** Clears all values. */
  clear() {
    this.asked = [];
    this.#kept.clear();
  }

  /** A stable ID for the field. @param {Block} block @param {Block} element */
  idOf(block, element) {
    return `${this.#name}-${block.block_id}-${element.action_id}`;
  }

  /** What was filled in before. @param {Block} block @param {Block} element @returns {Block | undefined} */
  keptOf(block, element) {
    return this.#kept.get(this.#key(block, element));
  }

  /** @param {Asked} asked */
  add(asked) {
    this.asked.push(asked);
  }

  /** What is filled in, as in `state.values`. @returns {Values} */
  values() {
    /** @type {Values} */
    const values = {};
    for (const { block, element, field } of this.asked) {
      values[block.block_id] = { ...values[block.block_id], [element.action_id]: field.read() };
    }
    return values;
  }

  /** @param {Block} block @param {Block} element */
  #key(block, element) {
    return [this.#owner, block.block_id, element.action_id].join(" ");
  }
}
