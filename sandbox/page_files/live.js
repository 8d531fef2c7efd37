/**
 * The WebSocket that feeds the page. Reconnects forever, with backoff.
 */

const FIRST_WAIT_MS = 400;
const LONGEST_WAIT_MS = 8000;

export class Live {
  #wait = FIRST_WAIT_MS;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** @type {WebSocket | undefined} */
  #socket;

  /**
   * @param {string} path
   * @param {{event: (event: any) => void, online: (online: boolean) => void}} listeners
   */
  constructor(path, listeners) {
    this.url = new URL(path, location.href);
    this.url.protocol = this.url.protocol.replace("http", "ws");
    this.listeners = listeners;
  }

  connect() {
    clearTimeout(this.#timer);
    const socket = new WebSocket(this.url);
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => {
      this.#wait = FIRST_WAIT_MS;
      this.listeners.online(true);
      this.listeners.event(JSON.parse(data));
    });
    socket.addEventListener("close", () => {
      if (this.#socket !== socket) return;
      this.listeners.online(false);
      this.#timer = setTimeout(() => this.connect(), this.#wait * (0.8 + 0.4 * Math.random()));
      this.#wait = Math.min(this.#wait * 2, LONGEST_WAIT_MS);
    });
  }

  /** Reconnects now, for when the server is probably back. */
  retryNow() {
    if (this.#socket?.readyState !== WebSocket.CLOSED) return;
    this.#wait = FIRST_WAIT_MS;
    this.connect();
  }
}
