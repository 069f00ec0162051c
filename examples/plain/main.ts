import { tellStory } from '../story.ts';
import { createPlainShop } from './shop.ts';

export const run = (url: string) => tellStory(createPlainShop, url);
