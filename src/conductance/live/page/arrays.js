/** Numbers out of the text in which the page carries them. */
"use strict";

/** The bytes of a base64 text. */
function bytesOf(text) {
  const letters = atob(text);
  const bytes = new Uint8Array(letters.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = letters.charCodeAt(i);
  return bytes;
}

/** A number in half precision (its 16 bits) as a number. */
function fromHalf(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/**
 * An array as the page carries it.
 * @param {{type: "float16"|"float32"|"uint8", base64: string}} packed
 * @returns {Float32Array|Uint8Array}
 */
function unpacked(packed) {
  const bytes = bytesOf(packed.base64);
  if (packed.type === "uint8") return bytes;
  const view = new DataView(bytes.buffer);
  const size = packed.type === "float16" ? 2 : 4;
  const values = new Float32Array(bytes.length / size);
  for (let i = 0; i < values.length; i++) {
    values[i] = size === 2 ? fromHalf(view.getUint16(2 * i, true)) : view.getFloat32(4 * i, true);
  }
  return values;
}
