// The arrays of a scene by content hash, fetched once, and the words about its nodes: row ids and details.

let style = null; // promise of the style sheet's text
const fetched = new Map(); // hash -> promise of its bytes, the most recent ones
const KEPT = 32;

export class Store {
  /** base: where the server is. inlined: hash -> base64, in a page that carries its arrays in itself. */
  constructor(base, inlined) {
    this.base = base;
    this.inlined = inlined;
  }

  /** The style sheet's text, from beside this script; none where the page has it already. */
  style() {
    if (this.inlined) return Promise.resolve("");
    style ??= fetch(new URL("canvas.css", import.meta.url)).then((answer) => (answer.ok ? answer.text() : ""));
    return style;
  }

  /** The bytes with this hash. The server may have dropped them: then `lost` asks Python to send them again. */
  bytes(hash, lost) {
    if (!fetched.has(hash)) {
      const promise = this.inlined ? this.unpacked(hash) : this.load(hash, lost);
      promise.catch(() => fetched.delete(hash));
      fetched.set(hash, promise);
      if (fetched.size > KEPT) fetched.delete(fetched.keys().next().value);
    }
    return fetched.get(hash);
  }

  async unpacked(hash) {
    return (await fetch(`data:application/octet-stream;base64,${this.inlined[hash]}`)).arrayBuffer();
  }

  async load(hash, lost) {
    for (let attempt = 0; attempt < 4; attempt++) {
      const answer = await fetch(`${this.base}filament/arrays/${hash}`);
      if (answer.ok) return answer.arrayBuffer();
      lost(hash);
      await new Promise((resolve) => setTimeout(resolve, 700 * (attempt + 1)));
    }
    throw new Error(`array ${hash} is not served`);
  }
}

/** Row ids and details are text that nobody needs before the pointer rests on a node or one is chosen. */
export class Words {
  constructor(scene, bytes) {
    this.scene = scene;
    this.bytes = bytes;
    this.ids = null;
    this.details = null;
  }

  get complete() {
    return (this.scene.first_id !== null || this.ids !== null) && (!this.scene.details.length || this.details !== null);
  }

  load() {
    this.loading ??= this.fetch();
    return this.loading;
  }

  async fetch() {
    const words = async (hash) => new TextDecoder().decode(await this.bytes(hash)).split("\n");
    try {
      const [ids, ...details] = await Promise.all([
        this.scene.ids ? words(this.scene.ids) : null,
        ...this.scene.details.map((detail) => words(detail.values)),
      ]);
      [this.ids, this.details] = [ids, details];
    } catch {
      this.details = this.scene.details.map(() => []);
      this.loading = null;
    }
  }

  idOf(place) {
    if (this.scene.first_id !== null) return String(BigInt(this.scene.first_id) + BigInt(place));
    return this.ids?.[place];
  }

  /** The place of a row id, -1 where it is not drawn, null where the ids are not here yet. */
  placeOf(id) {
    const { first_id: first, nodes } = this.scene;
    if (first !== null) {
      const place = Number(id) - first;
      return place >= 0 && place < nodes ? place : -1;
    }
    if (!this.ids) return null;
    this.places ??= new Map(this.ids.map((text, place) => [text, place]));
    return this.places.get(id) ?? -1;
  }
}
