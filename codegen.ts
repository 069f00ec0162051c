import type { CodegenConfig } from '@graphql-codegen/cli';

/** Types the documents that examples and tests write as graphql(`…`). */
const config: CodegenConfig = {
  schema: 'schema.graphql',
  documents: ['examples/**/*.ts', 'test/**/*.ts'],
  ignoreNoDocuments: true,
  generates: {
    'generated/': {
      preset: 'client',
      presetConfig: { fragmentMasking: false },
      config: {
        importExtension: '.ts',
        useTypeImports: true,
        strictScalars: true,
        scalars: {
          ID: 'string',
          DateTime: 'string',
          SafeInt: 'number',
          Currency: 'string',
          JSON: 'unknown',
          Position: 'string',
        },
      },
    },
    'generated/possible-types.ts': { plugins: ['./examples/apollo/possible-types-plugin.js'] },
  },
};

export default config;
