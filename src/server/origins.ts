import type { IncomingHttpHeaders } from 'node:http';

const MAX_KNOWN_HOSTS = 100;
const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;

/** Which web pages may talk to this server, and by which name. */
export class OriginPolicy {
  readonly #allowed: ReadonlySet<string>;
  readonly #loopbackOnly: boolean;
  /** The names that this server was called by, and whether each is one of this machine. */
  readonly #hosts = new Map<string, boolean>();

  /**
   * @param allowed origins like `https://shop.example`
   * @param loopbackOnly pages of this machine may, too; and requests must name this machine, so that no page from
   *   elsewhere reaches an open server by a name of its own that it lets point here (DNS rebinding)
   */
  constructor(allowed: readonly string[], loopbackOnly: boolean) {
    this.#allowed = new Set(allowed);
    this.#loopbackOnly = loopbackOnly;
  }

  /** Requests that do not come from a web page have no origin. */
  allows({ origin, host }: IncomingHttpHeaders): boolean {
    if (this.#loopbackOnly && !this.#isLoopback(host ?? '')) return false;
    if (origin === undefined) return true;
    if (this.#allowed.has(origin)) return true;
    return this.#loopbackOnly ? LOOPBACK.test(hostnameOf(origin)) : hostOf(origin) === host;
  }

  #isLoopback(host: string): boolean {
    const known = this.#hosts.get(host);
    if (known !== undefined) return known;
    const isLoopback = LOOPBACK.test(hostnameOf(`http://${host}`));
    if (this.#hosts.size < MAX_KNOWN_HOSTS) this.#hosts.set(host, isLoopback);
    return isLoopback;
  }
}

function hostnameOf(url: string): string {
  return URL.canParse(url) ? new URL(url).hostname : '';
}

function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : '';
}
