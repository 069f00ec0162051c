import { WebSocket } from 'ws';

/** A network that can be pulled out: its sockets die without a goodbye, and new ones fail until it is back. */
export interface Network {
  /** For graphql-ws: Node 20 has no WebSocket of its own. */
  readonly WebSocket: new (
    address: string | URL,
    protocols?: string | string[],
  ) => WebSocket;
  down(): void;
  up(): void;
}

export function createNetwork(): Network {
  const open = new Set<WebSocket>();
  let isUp = true;
  class NetworkSocket extends WebSocket {
    constructor(address: string | URL, protocols?: string | string[]) {
      super(address, protocols);
      open.add(this);
      this.once('close', () => open.delete(this));
      if (!isUp) this.terminate();
    }
  }
  return {
    WebSocket: NetworkSocket,
    down() {
      isUp = false;
      for (const socket of open) socket.terminate();
    },
    up() {
      isUp = true;
    },
  };
}
