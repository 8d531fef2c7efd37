/**
 * What is open on a narrow page, where the sidebar, thread and panels cover the channel. Covered or off-screen parts
 * can't be reached by keyboard.
 */

import { byId } from "./dom.js";

const DRAWER = matchMedia("(max-width: 719px)");
const THREAD_COVERS = matchMedia("(max-width: 1079px)");
/** Too narrow for a channel, a thread and a panel side by side. */
const CROWDED = matchMedia("(max-width: 1499px)");

export class Layout {
  #sidebarOpen = false;

  /** @param {() => void} closeThread */
  constructor(closeThread) {
    byId("open-sidebar").addEventListener("click", () => this.#setSidebar(true));
    byId("close-sidebar").addEventListener("click", () => this.#setSidebar(false));
    byId("scrim").addEventListener("click", () => this.#setSidebar(false));
    byId("close-thread").addEventListener("click", closeThread);
    byId("sidebar").addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.#sidebarOpen) this.#setSidebar(false);
    });
    byId("thread").addEventListener("keydown", (event) => {
      if (event.key === "Escape") closeThread();
    });
    for (const query of [DRAWER, THREAD_COVERS, CROWDED]) query.addEventListener("change", () => this.render());
  }

  /** Whether the thread covers the channel. */
  get threadCovers() {
    return THREAD_COVERS.matches || (CROWDED.matches && this.#panelOpen);
  }

  get #panelOpen() {
    return !byId("control").hidden || !byId("inspector").hidden;
  }

  /** Called after navigation. */
  closeSidebar() {
    this.#sidebarOpen = false;
    this.render();
  }

  render() {
    const drawer = DRAWER.matches && this.#sidebarOpen;
    const threadOpen = !byId("thread").hidden;
    document.body.classList.toggle("sidebar-open", drawer);
    const panelCovers = this.#panelOpen && THREAD_COVERS.matches;
    document.body.classList.toggle("thread-open", threadOpen);
    document.body.classList.toggle("panel-open", this.#panelOpen);
    byId("open-sidebar").setAttribute("aria-expanded", String(drawer));
    byId("sidebar").inert = DRAWER.matches && !this.#sidebarOpen;
    byId("main").inert = drawer || panelCovers || (threadOpen && this.threadCovers);
    byId("thread").inert = drawer || panelCovers;
    for (const id of ["control", "inspector"]) byId(id).inert = drawer;
  }

  /** @param {boolean} open */
  #setSidebar(open) {
    this.#sidebarOpen = open;
    this.render();
    byId(open ? "close-sidebar" : "open-sidebar").focus();
  }
}
