"use strict";

// A text to the probabilities of its labels, as laghu.inference.Classifier gives them, with ONNX Runtime in this page.

import * as ort from "../lib/onnxruntime-web/ort.wasm.bundle.min.js";
import { download } from "./download.js";
import { WordPiece } from "./wordpiece.js";

const RUNTIME = new URL("../lib/onnxruntime-web/ort-wasm-simd-threaded.wasm.gz", import.meta.url).href;
// A browser's clock ticks in tenths of a millisecond at best, so a short answer is asked for until this has passed.
const TIMED_FOR = 15;

let started = false;

/**
 * A classifier from the files that `laghu ship` writes.
 *
 * @param {{weights: string, vocabulary: string}} model URLs.
 * @param {(bytes: number) => void} onBytes told of all that comes, the runtime's bytes included, if it comes now.
 */
export async function load(model, onBytes) {
  const [weights, vocabulary, runtime] =
    await download([model.weights, model.vocabulary, ...(started ? [] : [RUNTIME])], onBytes);
  if (!started) {
    ort.env.wasm.wasmBinary = runtime;
    // More threads would need headers that no static host sends.
    ort.env.wasm.numThreads = 1;
    started = true;
  }
  const session = await ort.InferenceSession.create(weights, { executionProviders: ["wasm"] });
  return new Classifier(new WordPiece(new TextDecoder().decode(vocabulary)), session);
}

class Classifier {
  #session;

  constructor(wordPiece, session) {
    this.wordPiece = wordPiece;
    this.#session = session;
  }

  /** All tokens of a text, those that are read, and the probabilities of the labels. */
  async classify(text) {
    const tokens = this.wordPiece.tokens(text);
    const read = this.wordPiece.read(tokens);
    return { tokens, read, probabilities: softmax(await this.#logits(read)) };
  }

  /** The same with `milliseconds`, the mean time of some more answers. */
  async timed(text) {
    const answer = await this.classify(text);
    const start = performance.now();
    let times = 0, passed = 0;
    while (passed < TIMED_FOR) {
      await this.classify(text);
      times += 1;
      passed = performance.now() - start;
    }
    return { ...answer, milliseconds: passed / times };
  }

  async #logits(read) {
    const shape = [1, read.length];
    const ids = new ort.Tensor("int64", BigInt64Array.from(read, (token) => BigInt(token.id)), shape);
    const mask = new ort.Tensor("int64", new BigInt64Array(read.length).fill(1n), shape);
    const { logits } = await this.#session.run({ input_ids: ids, attention_mask: mask });
    return logits.data;
  }
}

function softmax(logits) {
  const most = Math.max(...logits);
  const powers = Array.from(logits, (logit) => Math.exp(logit - most));
  const sum = powers.reduce((one, other) => one + other, 0);
  return powers.map((power) => power / sum);
}
