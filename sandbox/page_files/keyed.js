/**
 * Keyed children: redraws only what changed and leaves the rest in place.
 */

/** @typedef {{key: string, signature: string, draw: () => HTMLElement}} Item */

export class KeyedNodes {
  /** @type {Map<string, {signature: string, node: HTMLElement}>} */
  #drawn = new Map();

  /** @param {HTMLElement} parent  Has no other children. */
  constructor(parent) {
    this.parent = parent;
  }

  clear() {
    this.#drawn.clear();
    this.parent.replaceChildren();
  }

  /** @param {Item[]} items  In order. */
  show(items) {
    const wanted = new Set(items.map((item) => item.key));
    for (const [key, { node }] of this.#drawn) {
      if (wanted.has(key)) continue;
      node.remove();
      this.#drawn.delete(key);
    }
    /** @type {ChildNode | null} */
    let next = this.parent.firstChild;
    for (const item of items) {
      const old = this.#drawn.get(item.key);
      let node = old?.node;
      if (!node || old?.signature !== item.signature) {
        const fresh = item.draw();
        if (node === next) next = node?.nextSibling ?? null;
        if (node) node.replaceWith(fresh);
        else this.parent.insertBefore(fresh, next);
        node = fresh;
        this.#drawn.set(item.key, { signature: item.signature, node });
      } else if (node === next) {
        next = node.nextSibling;
      } else {
        this.parent.insertBefore(node, next);
      }
    }
  }
}
