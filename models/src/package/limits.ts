/** Bounds of a package, checked before anything is read, hashed or written. */
export const MAX_PACKAGE_FILES = 256;
/** Bytes of all files together. */
export const MAX_PACKAGE_BYTES = 256 * 1024 * 1024;
export const MAX_MANIFEST_BYTES = 256 * 1024;
export const MAX_LABELS_BYTES = 512 * 1024;
/** Bytes of one chunk on the wire; also the most that a release's descriptor may take. */
export const CHUNK_BYTES = 64 * 1024;
export const MANIFEST_FILE = 'manifest.yaml';
