/**
 * Finds an element again after its message was redrawn. A button's block_id changes with every edit, but its action
 * and position don't. Fields have IDs.
 */

/** @typedef {{id: string, root: string, ts: string, action: string, value: string, testid: string}} FocusKey */

/**
 * @param {Element | null} element
 * @returns {FocusKey | null}  Null if the element isn't in a message.
 */
export function focusKey(element) {
  const message = element?.closest("[data-ts]");
  const root = message?.parentElement?.closest("[data-testid]");
  if (!(element instanceof HTMLElement) || !(message instanceof HTMLElement) || !(root instanceof HTMLElement)) return null;
  const { actionId = "", value = "", testid = "" } = element.dataset;
  return { id: element.id, root: root.dataset.testid ?? "", ts: message.dataset.ts ?? "", action: actionId, value, testid };
}

/**
 * @param {FocusKey} key
 * @returns {HTMLElement | null}
 */
export function findFocus(key) {
  const same = key.id && document.getElementById(key.id);
  if (same) return same;
  const message = document.querySelector(
    `[data-testid="${CSS.escape(key.root)}"] [data-ts="${CSS.escape(key.ts)}"]`,
  );
  if (!message) return null;
  const candidates = /** @type {HTMLElement[]} */ ([...message.querySelectorAll("[data-action-id], [data-testid]")]);
  const matches = candidates.filter(
    ({ dataset }) => (dataset.actionId ?? "") === key.action && (dataset.testid ?? "") === key.testid,
  );
  return matches.find(({ dataset }) => (dataset.value ?? "") === key.value) ?? matches[0] ?? null;
}

/**
 * Redraws, then restores the focus.
 * @param {() => void} draw
 */
export function keepingFocus(draw) {
  const key = focusKey(document.activeElement);
  draw();
  const lost = !document.activeElement || document.activeElement === document.body;
  if (key && lost) findFocus(key)?.focus({ preventScroll: true });
}
