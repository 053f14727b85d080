/** Bounds of a package, checked before anything is read, hashed or written. */
export const MAX_PACKAGE_FILES = 256;
/** Bytes of all files together. */
export const MAX_PACKAGE_BYTES = 256 * 1024 * 1024;
export const MAX_MANIFEST_BYTES = 256 * 1024;
/** Folders below the package's own, and how deep they may lie. */
export const MAX_PACKAGE_FOLDERS = 256;
export const MAX_PATH_SEGMENTS = 9;
export const MAX_LABELS = 4096;
export const MAX_LABELS_BYTES = 512 * 1024;
/** Pixels of a golden picture: decoded, it must fit beside everything else on a board with 512 MB. */
export const MAX_GOLDEN_PIXELS = 4096 * 4096;
/** Largest chunk on the wire, bytes. */
export const CHUNK_BYTES = 64 * 1024;
export const MANIFEST_FILE = 'manifest.yaml';
