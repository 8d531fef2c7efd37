/**
 * Whether a mouse button, finger or pen is down. A redraw between press and release replaces the nodes, and the browser
 * then fires no click event: a click during an edit would be lost.
 */

const LONGEST_MS = 1000;

export class Pointer {
  isDown = false;
  /** @type {(() => void) | null} */
  #waiting = null;
  #timer = 0;

  constructor() {
    addEventListener("pointerdown", () => this.#down(), { capture: true });
    for (const type of ["pointerup", "pointercancel"]) {
      // The click event comes after this one, and before any timer.
      addEventListener(type, () => setTimeout(() => this.#up()), { capture: true });
    }
    addEventListener("click", () => (this.isDown = false), { capture: true }); // what it does is shown at once
  }

  /** Runs this on release; the last one passed wins. @param {() => void} act */
  afterwards(act) {
    this.#waiting = act;
  }

  #down() {
    this.isDown = true;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#up(), LONGEST_MS); // a scrollbar, or text that is being marked
  }

  #up() {
    clearTimeout(this.#timer);
    this.isDown = false;
    const act = this.#waiting;
    this.#waiting = null;
    act?.();
  }
}
