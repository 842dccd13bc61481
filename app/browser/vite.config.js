import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

const LOGO = 'https://cdn.redoc.ly/redoc/logo-mini.svg';
const NO_LOGO = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' width='0' height='0'/%3E";

/** `import url from 'virtual:redoc'` is the address of a ReDoc that asks no other host for a logo. */
function redocWithoutLogo() {
  return {
    name: 'redoc-without-logo',
    resolveId: (id) => (id === 'virtual:redoc' ? '\0redoc' : null),
    load(id) {
      if (id !== '\0redoc') return null;
      const original = readFileSync(fileURLToPath(import.meta.resolve('redoc/bundles/redoc.standalone.js')), 'utf8');
      const source = original.replaceAll(LOGO, NO_LOGO);
      if (source === original) this.error(`ReDoc no longer asks for ${LOGO}: look for what it asks for now`);
      // ReDoc's module header wants a module called "null", so that it is served as the script it is.
      const file = this.emitFile({ type: 'asset', name: 'redoc.js', source });
      return `export default import.meta.ROLLUP_FILE_URL_${file}`;
    },
  };
}

/** React libraries mark their files "use client", which says nothing to a browser. */
function exceptDirectives(warning, warn) {
  if (warning.code !== 'MODULE_LEVEL_DIRECTIVE') warn(warning);
}

export default defineConfig({
  plugins: [redocWithoutLogo()],
  esbuild: { jsx: 'automatic' },
  build: {
    assetsDir: 'static',
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 8000,
    reportCompressedSize: false,
    rollupOptions: { input: ['graphiql.html', 'swagger.html', 'redoc.html'], onwarn: exceptDirectives },
    sourcemap: false,
    target: 'es2022',
  },
  worker: { format: 'es' },
});
