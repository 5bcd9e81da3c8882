/**
 * The folder of the package. The joined gateway (tools/bundle.mjs) runs every module from the place
 * of this one.
 */
export const PACKAGE_ROOT = new URL('../../../', import.meta.url)
