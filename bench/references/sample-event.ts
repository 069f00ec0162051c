/** What the references store: as much as adding an item to a cart records. */
export function sampleEventData() {
  return {
    sku: '85123A',
    name: 'WHITE HANGING HEART T-LIGHT HOLDER',
    quantity: 6,
    unitPrice: { amountMinor: 255, currency: 'GBP' },
  };
}
