"use strict";

// Texts to token ids, the same as the tokenizers library gives: composed characters (NFC), words cut at spaces and
// around signs, and each word divided into the longest pieces known. Written by laghu.shipping.vocabulary, the file of
// a vocabulary says itself which characters are spaces and signs, so that no browser's own tables decide.

const LETTER = 0, SPACE = 1, SIGN = 2;
const CODE_POINTS = 0x110000;

export class WordPiece {
  #ids;
  #kinds = new Uint8Array(CODE_POINTS);
  #longestPiece = 0;
  #settings;
  #special;

  /** @param {string} file content of a vocabulary file: settings in the first line, then a piece in each. */
  constructor(file) {
    const [settings, ...pieces] = file.split("\n");
    this.#settings = JSON.parse(settings);
    this.#ids = new Map(pieces.map((piece, id) => [piece, id]));
    for (const piece of pieces) this.#longestPiece = Math.max(this.#longestPiece, piece.length);
    this.#mark(this.#settings.spaces, SPACE);
    this.#mark(this.#settings.signs, SIGN);
    const longestFirst = [...this.#settings.special].sort((one, other) => other.length - one.length);
    this.#special = new RegExp(`(${longestFirst.map(escaped).join("|")})`);
    this.before = this.#settings.before.map((id) => ({ id, piece: pieces[id] }));
    this.after = this.#settings.after.map((id) => ({ id, piece: pieces[id] }));
    this.unknown = this.#ids.get(this.#settings.unknown);
  }

  /** Tokens of a text that a model reads at most, those before and after it not counted. */
  get room() {
    return this.#settings.maxLength - this.before.length - this.after.length;
  }

  /** How a piece begins that goes on with a word. */
  get continuing() {
    return this.#settings.continuing;
  }

  /** All tokens of a text: `id`, `piece`, and the `word` that it is a piece of. */
  tokens(text) {
    const tokens = [];
    const wellFormed = text.replace(/\p{Surrogate}/gu, "\ufffd");
    // With its group, the expression leaves special tokens at the odd places.
    for (const [place, part] of wellFormed.split(this.#special).entries()) {
      if (place % 2) tokens.push({ id: this.#ids.get(part), piece: part, word: part });
      else for (const word of this.#words(part)) for (const token of this.#divided(word)) tokens.push(token);
    }
    return tokens;
  }

  /** What a model is given of a text's tokens: as many as there is room for, between those at its ends. */
  read(tokens) {
    return [...this.before, ...tokens.slice(0, this.room), ...this.after];
  }

  #mark(ends, kind) {
    for (let place = 0; place < ends.length; place += 2) this.#kinds.fill(kind, ends[place], ends[place + 1] + 1);
  }

  *#words(text) {
    let word = "";
    for (const character of text.normalize("NFC")) {
      const kind = this.#kinds[character.codePointAt(0)];
      if (kind === LETTER) {
        word += character;
        continue;
      }
      if (word) yield word;
      word = "";
      if (kind === SIGN) yield character;
    }
    if (word) yield word;
  }

  /** A word in the longest pieces from its start on; unknown as a whole if a part of it is. */
  #divided(word) {
    const characters = Array.from(word);
    if (characters.length > this.#settings.longestWord) return [this.#unknownToken(word)];
    const tokens = [];
    for (let start = 0; start < characters.length;) {
      const prefix = start ? this.#settings.continuing : "";
      let end = Math.min(characters.length, start + this.#longestPiece);
      let piece = prefix + characters.slice(start, end).join("");
      while (end > start && !this.#ids.has(piece)) {
        end -= 1;
        piece = prefix + characters.slice(start, end).join("");
      }
      if (end === start) return [this.#unknownToken(word)];
      tokens.push({ id: this.#ids.get(piece), piece, word });
      start = end;
    }
    return tokens;
  }

  #unknownToken(word) {
    return { id: this.unknown, piece: this.#settings.unknown, word };
  }
}

function escaped(text) {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
