"use strict";

const GZIP = [0x1f, 0x8b];

/**
 * Files by their URLs, all at once: what they hold after unpacking.
 *
 * @param {string[]} urls
 * @param {(bytes: number) => void} onBytes told of each piece that has come, as it is before unpacking.
 * @returns {Promise<Uint8Array[]>}
 */
export function download(urls, onBytes) {
  const stop = new AbortController();
  return Promise.all(urls.map((url) => one(url, onBytes, stop.signal))).catch((error) => {
    stop.abort();
    throw error;
  });
}

async function one(url, onBytes, signal) {
  const response = await fetch(url, { signal });
  if (!response.ok) throw new Error(`${new URL(url).pathname}: ${response.status} ${response.statusText}`);
  const counted = new TransformStream({
    transform(piece, controller) {
      onBytes(piece.length);
      controller.enqueue(piece);
    },
  });
  const content = await new Response(response.body.pipeThrough(counted)).arrayBuffer();
  return unpacked(new Uint8Array(content));
}

/** Some hosts say that a compressed file is one, and then the browser has unpacked it already. */
async function unpacked(content) {
  if (!GZIP.every((byte, place) => content[place] === byte)) return content;
  const stream = new Blob([content]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
