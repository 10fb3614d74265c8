// The WebSocket to the server: sends requests, and passes each message to the handler of its type.

export class Connection {
  /** `handlers` maps the types of messages to functions; `onClose` is called with the event of the socket when the connection ends. */
  constructor(handlers, onClose) {
    this.socket = new WebSocket(`ws://${location.host}/session`);
    this.socket.addEventListener("message", (event) => {
      const message = JSON.parse(event.data);
      handlers[message.type]?.(message);
    });
    this.socket.addEventListener("close", onClose);
    // a page that the browser keeps for its history must not train
    addEventListener("pagehide", () => this.socket.close());
    addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
  }

  send(type, fields = {}) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify({ type, ...fields }));
  }
}
