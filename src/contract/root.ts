/**
 * The folder of the package. It holds as well where this module is a part of dist/src/chunks
 * (tools/bundle.mjs): both are three folders deep.
 */
export const PACKAGE_ROOT = new URL('../../../', import.meta.url)
