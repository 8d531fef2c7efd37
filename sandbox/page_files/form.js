/**
 * What a message, a modal or a Home tab asks for, and what somebody has filled in. That stays when it is drawn anew,
 * as in Slack while its ids stay.
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
 * @property {HTMLElement | null} error  Where a complaint is written; input blocks have such a place.
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
   * Begins to draw: what was filled in so far is kept.
   * @param {string} [owner]  A view's id; a view that lies below another keeps what was filled in.
   */
  begin(owner = "") {
    for (const { block, element, field } of this.asked) this.#kept.set(this.#key(block, element), field.read());
    this.asked = [];
    this.#owner = owner;
  }

  /** Forgets everything. */
  clear() {
    this.asked = [];
    this.#kept.clear();
  }

  /** An id for the field, the same whenever it is drawn. @param {Block} block @param {Block} element */
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
