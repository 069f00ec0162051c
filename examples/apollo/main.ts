import { WebSocket } from 'ws';
import { tellStory } from '../story.ts';
import { createApolloShop } from './shop.ts';

// Apollo's link looks at the global WebSocket when a subscription ends with an error. Node 20 has none.
Object.assign(globalThis, { WebSocket });

export const run = (url: string) => tellStory(createApolloShop, url);
