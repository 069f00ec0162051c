/** `1 key was`, `2 keys were`. @param many what is said of several, where that is not what is said of one and an s */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString('en')} ${count === 1 ? one : many}`;
}
