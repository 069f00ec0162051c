export async function replay(
  file: string,
  options: { url: string; token?: string; parallel: string; json?: boolean },
): Promise<void> {
  throw new Error(`${file} ${options.url}`);
}
