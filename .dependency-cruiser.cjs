/**
 * The rules of the house about who may import whom. Types count like values. The generated Prisma client is a leaf.
 */

/** From top to bottom: a layer imports from itself and from those below it; the simulators, for the command line alone. */
const layers = [
  { name: 'main', path: '^src/(main\\.ts$|config\\.ts$|cli/)' },
  { name: 'server', path: '^src/server/' },
  { name: 'contexts', path: '^src/(contexts|processes)/' },
  { name: 'graphql-messaging', path: '^src/(graphql|messaging)/' },
  { name: 'eventsourcing', path: '^src/eventsourcing/' },
  { name: 'simulators', path: '^src/simulators/' },
  { name: 'platform', path: '^src/platform/' },
];

const npm = (...names) => `(^|/)node_modules/(${names.join('|')})/`;
const graphqlPackages = npm('graphql', 'graphql-[^/]+', '@graphql-[^/]+/[^/]+', '@pothos/[^/]+');

/** Files of a context (commands.ts, stock/commands.ts, product-copy.ts) that know nothing but their input. */
const pureNames = [
  ...['commands', 'events', 'decider', 'projection', 'copy', 'messages', 'rejections?', 'state', 'policy', 'effects'],
  ...['number', 'expiries', 'discounts', 'facts'],
];
const pureFile = `.*\\b(${pureNames.join('|')})\\.ts$`;
/** What contexts share, such as money.ts, lies beside them. */
const sharedFile = '^src/contexts/(?!index\\.ts$)[^/]+\\.ts$';
const messagesFile = '^src/contexts/[^/]+/messages\\.ts$';

const upward = layers.slice(1).map(({ name, path }, index) => ({
  name: `1-${name}-imports-downwards`,
  comment: 'Imports go down: main, server, contexts and processes, graphql and messaging, eventsourcing, platform.',
  severity: 'error',
  from: { path },
  to: { path: layers.slice(0, index + 1).map((layer) => layer.path) },
}));

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    ...upward,
    {
      name: '1-every-file-has-a-room',
      comment: 'A folder of src that is no layer would escape the rules.',
      severity: 'error',
      from: {},
      to: { path: '^src/', pathNot: layers.map((layer) => layer.path) },
    },
    {
      name: '1-no-circles',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: '2-engine-knows-no-commerce-and-no-graphql',
      comment: 'eventsourcing and messaging could be published as packages.',
      severity: 'error',
      from: { path: '^src/(eventsourcing|messaging)/' },
      to: { path: ['^src/(contexts|processes|graphql)/', graphqlPackages] },
    },
    {
      name: '3-decisions-are-pure',
      comment: 'No I/O, clock, randomness, Prisma or GraphQL where commands are decided and events are folded.',
      severity: 'error',
      from: { path: `^src/contexts/([^/]+)/${pureFile}` },
      to: {
        pathNot: [npm('zod'), `^src/contexts/$1/${pureFile}`, messagesFile, sharedFile, '^src/eventsourcing/'],
      },
    },
    {
      name: '3-decisions-reach-no-graphql',
      comment: 'Nor by way of what they import.',
      severity: 'error',
      from: { path: `^src/contexts/[^/]+/${pureFile}` },
      to: { reachable: true, path: ['^src/graphql/', graphqlPackages] },
    },
    {
      name: '4-contexts-meet-in-messages',
      comment: 'A context imports nothing of another but its messages.ts. A process manager ties two together.',
      severity: 'error',
      from: { path: '^src/contexts/([^/]+)/' },
      to: { path: '^src/contexts/[^/]+/', pathNot: ['^src/contexts/$1/', messagesFile] },
    },
    {
      name: '4-processes-know-messages-alone',
      comment: 'A process manager decides purely, on what contexts publish.',
      severity: 'error',
      from: { path: '^src/processes/' },
      to: { pathNot: [npm('zod'), '^src/processes/', messagesFile, sharedFile, '^src/eventsourcing/'] },
    },
    {
      name: '4-shared-files-know-no-context',
      severity: 'error',
      from: { path: sharedFile },
      to: { path: '^src/contexts/[^/]+/' },
    },
    {
      name: '5-simulators-are-outside',
      comment: 'They are the parties that the shop speaks to over the network, and could run on another machine.',
      severity: 'error',
      from: { pathNot: ['^src/cli/', '^src/simulators/'] },
      to: { path: '^src/simulators/' },
    },
    {
      name: 'runs-without-dev-dependencies',
      comment: 'Production installs leave them out.',
      severity: 'error',
      from: { path: '^src/' },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg'], dependencyTypesNot: ['type-only'] },
    },
  ],
  options: {
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    doNotFollow: { path: ['node_modules', '^src/platform/prisma/'] },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default', 'types'] },
  },
};
