import { tellStory } from '../story.ts';
import { createUrqlShop } from './shop.ts';

export const run = (url: string) => tellStory(createUrqlShop, url);
