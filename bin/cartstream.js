#!/usr/bin/env node
/** The `cartstream` command. In a fresh clone it builds itself first. */
import { existsSync } from 'node:fs';

const main = new URL('../dist/main.js', import.meta.url);
const build = new URL('../scripts/build.js', import.meta.url);

if (!existsSync(main) && existsSync(build)) await import(build);
await import(main);
