/** An outside party's call that is not taken for true: its signature is wrong, or too old, or it cannot be read. */
export class WebhookRefused extends Error {
  override readonly name = 'WebhookRefused';
}
