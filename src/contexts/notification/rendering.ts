import type { Block, Letter } from './letters.ts';

/** A letter as plain text. */
export function textOf({ subject, blocks }: Letter): string {
  return `${[oneLine(subject), ...blocks.map(textBlock)].join('\n\n')}\n`;
}

function textBlock(block: Block): string {
  switch (block.kind) {
    case 'paragraph':
      return oneLine(block.text);
    case 'bill':
      return block.rows.map(({ label, amount }) => `  ${oneLine(label)}: ${amount}`).join('\n');
    default:
      return block satisfies never;
  }
}

/** What somebody wrote with line breaks does not look like more than it is. */
function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ');
}

/** A letter as HTML, without anything that would have to be fetched. Every text in it is escaped here, and only here. */
export function htmlOf({ subject, blocks }: Letter): string {
  return `<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>${escaped(subject)}</title></head>
<body style="font-family: sans-serif; line-height: 1.5; max-width: 40em; margin: 0 auto; padding: 1em">
<h1 style="font-size: 1.3em">${escaped(subject)}</h1>
${blocks.map(htmlBlock).join('\n')}
</body>
</html>
`;
}

function htmlBlock(block: Block): string {
  switch (block.kind) {
    case 'paragraph':
      return `<p>${escaped(block.text)}</p>`;
    case 'bill':
      return `<table style="border-collapse: collapse">\n${block.rows.map(htmlRow).join('\n')}\n</table>`;
    default:
      return block satisfies never;
  }
}

function htmlRow({ label, amount }: { readonly label: string; readonly amount: string }): string {
  return `<tr><td style="padding-right: 2em">${escaped(label)}</td><td style="text-align: right">${escaped(amount)}</td></tr>`;
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? character);
}
