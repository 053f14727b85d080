/**
 * Watches the framing of an MQTT stream (MQTT 3.1.1, 2.2): refuses a packet that announces more bytes than allowed before
 * any of them is collected. aedes itself would wait for up to 256 MiB.
 */
export class PacketLimit {
  readonly #maxBytes: number;
  /** Body bytes of the current packet still to come; -1: at a fixed header, -2: inside its length. */
  #remaining = -1;
  #length = 0;
  #shift = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Takes the next bytes of the stream. False: a packet is too large, or its length is malformed. */
  accept(bytes: Uint8Array): boolean {
    let offset = 0;
    while (offset < bytes.length) {
      if (this.#remaining === -1) {
        offset += 1;
        this.#remaining = -2;
        this.#length = 0;
        this.#shift = 0;
      } else if (this.#remaining === -2) {
        const byte = bytes[offset];
        offset += 1;
        this.#length += (byte & 0x7f) * 2 ** this.#shift;
        this.#shift += 7;
        if (this.#length > this.#maxBytes || (this.#shift === 28 && byte >= 0x80)) return false;
        if (byte < 0x80) this.#remaining = this.#length === 0 ? -1 : this.#length;
      } else {
        const taken = Math.min(this.#remaining, bytes.length - offset);
        offset += taken;
        this.#remaining = this.#remaining === taken ? -1 : this.#remaining - taken;
      }
    }
    return true;
  }
}
