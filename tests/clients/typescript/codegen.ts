import type { CodegenConfig } from "@graphql-codegen/cli";

const config: CodegenConfig = {
  schema: "../../../schema/schema.graphql",
  documents: "../operations.graphql",
  emitLegacyCommonJSImports: false, // modules import each other by their file names
  generates: {
    "source/generated/": {
      preset: "client",
      presetConfig: { fragmentMasking: false },
      config: {
        documentMode: "string",
        useTypeImports: true,
        strictScalars: true,
        scalars: { UUID: "string", DateTime: "string", Date: "string", Long: "number", JSON: "unknown", Bytes: "string", Upload: "File" },
      },
    },
  },
};

export default config;
