/**
 * Whether a button of the mouse, a finger or a pen is down. What is drawn anew between its going down and up has other
 * nodes, and the browser then tells of no click: whoever clicks while a message is edited would click in vain.
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
      // The click comes after this event, and is dealt with before a timer.
      addEventListener(type, () => setTimeout(() => this.#up()), { capture: true });
    }
    addEventListener("click", () => (this.isDown = false), { capture: true }); // what it does is shown at once
  }

  /** Does this when it is up; the last one told counts. @param {() => void} act */
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
