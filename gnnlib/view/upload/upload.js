// The uploader: a drop zone, a list with progress, and a queue that sends files to the server piece by piece, so that
// a broken connection goes on where it broke and no proxy's limit on the length of a request stands in the way.
// The queue belongs to the browser tab, not to the element: files go on being sent while another page is looked at.

const PIECE = 8 << 20; // bytes a request; smaller where the server or a proxy asks for it
const LEAST_PIECE = 256 << 10;
const AT_ONCE = 3; // files sent side by side
const PATIENCE_MS = 50_000; // a lost connection is tried again for this long; the server keeps a part for 60 s
const PAUSE_MS = 1500;
const RATE_OVER_MS = 6000;
const MOST_ROWS = 200; // of whole files in the list; the rest is counted

const queues = new Map(); // token -> Queue
const views = new WeakMap(); // where Streamlit put the element -> its View

/**
 * Called by the loader at every change of data or theme; returns what to do when the element goes away. Streamlit also
 * does that where a change overtook a call that was still loading this file; the element then stays, and so does its view.
 */
export function mount(component, base) {
  const { data, parentElement: parent } = component;
  if (!queues.has(data.token)) queues.set(data.token, new Queue(data, base));
  if (!views.has(parent)) views.set(parent, new View(parent));
  const view = views.get(parent);
  view.show(component, queues.get(data.token));
  return () => {
    if (parent.isConnected) return;
    views.delete(parent);
    view.destroy();
  };
}

/** The files of one session: waiting, sending, lost (the connection), failed, refused or done. */
class Queue {
  constructor(data, base) {
    this.base = base;
    this.token = data.token;
    this.largest = data.largest;
    this.most = data.most;
    this.piece = PIECE;
    this.items = data.files.map((file) => ({ ...file, state: "done", sent: file.size }));
    this.told = this.ids().join();
    this.samples = [];
    this.changed = () => {}; // the element's, while there is one
    this.settled = () => false; // false: nobody heard it
    this.leaving = (event) => event.preventDefault();
  }

  ids() {
    return this.items.filter((item) => item.state === "done").map((item) => item.id);
  }

  get pending() {
    return this.items.filter((item) => ["waiting", "sending", "lost"].includes(item.state));
  }

  /** Take files into the list: beside what is there while that is still coming or `beside` is set, else in its place. */
  async add(files, beside) {
    const items = files.map((file) => ({ id: randomId(), file, name: file.name, size: file.size, sent: 0, state: "waiting" }));
    if (items.length > this.most) {
      items.length = 1;
      items[0].name = `Over ${this.most.toLocaleString("en")} files`;
      refuse(items[0], "These are too many files to be one catalog; choose only those that belong together.");
    }
    const stays = beside || this.pending.length > 0;
    const names = new Set(stays ? this.items.filter(takesPlace).map((item) => item.name) : []);
    for (const item of items) {
      const problem = item.error ?? this.problem(item, names);
      if (problem) refuse(item, problem);
      else names.add(item.name);
    }
    const replaced = stays || !items.some(takesPlace) ? this.items.filter((item) => item.state === "refused") : this.items;
    this.items = [...this.items.filter((item) => !replaced.includes(item)), ...items];
    this.changed();
    await Promise.all(replaced.filter((item) => item.state !== "refused").map((item) => this.forget(item)));
    this.next();
  }

  problem({ name, size }, names) {
    if (size === 0) return `“${name}” is empty; choose another file.`;
    if (size > this.largest) {
      return `“${name}” has ${sizeText(size)}, more than the ${sizeText(this.largest)} a file may have here; keep fewer rows or columns of it.`;
    }
    if (names.has(name)) return `Two files are called “${name}”; rename one of them or leave it out.`;
    return null;
  }

  /** Send what waits; once nothing is on its way any more, tell the page which files are there. */
  next() {
    const sending = this.items.filter((item) => item.state === "sending" || item.state === "lost").length;
    const waiting = this.items.filter((item) => item.state === "waiting");
    for (const item of waiting.slice(0, Math.max(0, AT_ONCE - sending))) this.send(item);
    const busy = this.pending.length > 0;
    window[busy ? "addEventListener" : "removeEventListener"]("beforeunload", this.leaving);
    if (!busy) {
      this.samples = [];
      this.tell();
    }
    this.changed();
  }

  tell() {
    const ids = this.ids();
    if (ids.join() !== this.told && this.settled({ turn: Date.now(), ids }) !== false) this.told = ids.join();
  }

  async send(item) {
    item.state = "sending";
    item.received = 0;
    let lostSince = null;
    try {
      while (item.received < item.size) {
        try {
          if (item.state === "lost") {
            item.received = item.sent = (await this.ask("GET", item)).received;
            item.state = "sending";
          }
          item.received = (await this.sendPiece(item)).received;
          lostSince = null;
        } catch (problem) {
          if (!this.items.includes(item)) return;
          if (problem.tooLong && this.piece > LEAST_PIECE) {
            this.piece = Math.max(LEAST_PIECE, this.piece >> 2);
            continue;
          }
          if (!problem.lost) throw problem;
          if (!(await readable(item.file))) throw new Error(`“${item.name}” changed or vanished on your disk; choose it again.`);
          lostSince ??= performance.now();
          if (performance.now() - lostSince > PATIENCE_MS) {
            item.again = true;
            throw new Error(`The connection was lost while sending “${item.name}”; try again.`);
          }
          item.state = "lost";
          this.changed();
          await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
        }
        if (!this.items.includes(item)) return;
      }
      item.state = "done";
      item.sent = item.size;
      item.file = null;
    } catch (problem) {
      if (!this.items.includes(item)) return;
      item.state = "failed";
      item.error = problem.message;
    }
    this.next();
  }

  sendPiece(item) {
    const first = item.received;
    const stop = Math.min(first + this.piece, item.size);
    const headers = {
      "X-Filament-Name": encodeURIComponent(item.name.toWellFormed?.() ?? item.name),
      "Content-Range": `bytes ${first}-${stop - 1}/${item.size}`,
    };
    return this.ask("PUT", item, headers, item.file.slice(first, stop), (loaded) => {
      item.sent = Math.min(first + loaded, stop);
      this.changed();
    });
  }

  /** A request about one file. Rejects with an Error whose message is for the person, or that says `lost`. */
  ask(method, item, headers = {}, body = null, progress = null) {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      request.open(method, `${this.base}filament/uploads/${item.id}`);
      request.setRequestHeader("X-Filament-Token", this.token);
      for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
      if (progress) request.upload.onprogress = (event) => progress(event.loaded);
      request.onload = () => {
        const answer = parsed(request.responseText);
        if (request.status === 200 && answer) return resolve(answer);
        const gateway = [502, 503, 504].includes(request.status);
        const sentence = answer?.error ?? `The server did not take “${item.name}” (status ${request.status}); try again.`;
        reject(Object.assign(new Error(sentence), { tooLong: request.status === 413 && !answer, lost: gateway && !answer }));
      };
      request.onerror = request.onabort = () => reject(Object.assign(new Error("lost"), { lost: true }));
      if (method === "PUT") item.request = request;
      request.send(body);
    });
  }

  /** Have the server remove what it has of a file that is no longer in the list. */
  async forget(item) {
    item.request?.abort();
    await this.ask("DELETE", item).catch(() => {}); // otherwise it goes with the session
  }

  async remove(item) {
    this.items = this.items.filter((other) => other !== item);
    this.changed();
    if (item.state !== "refused") await this.forget(item);
    this.next();
  }

  /** Give up what has not been told to the page: the files on their way and those that came with them. */
  async cancel() {
    const told = new Set(this.told.split(","));
    const gone = this.items.filter((item) => !told.has(item.id));
    this.items = this.items.filter((item) => told.has(item.id));
    this.changed();
    await Promise.all(gone.map((item) => this.forget(item)));
    this.next();
  }

  again(item) {
    Object.assign(item, { state: "waiting", sent: 0, again: false, error: null });
    this.next();
  }

  /** Seconds that what is on its way still needs at the present rate; null while that is not known. */
  secondsLeft() {
    const now = performance.now();
    const sent = this.items.reduce((sum, item) => sum + item.sent, 0);
    this.samples.push([now, sent]);
    while (this.samples.length > 2 && now - this.samples[0][0] > RATE_OVER_MS) this.samples.shift();
    const [since, before] = this.samples[0];
    if (now - since < 1000 || sent <= before) return null;
    const left = this.pending.reduce((sum, item) => sum + item.size - item.sent, 0);
    return (left / (sent - before)) * ((now - since) / 1000);
  }
}

const ORDER = ["failed", "refused", "lost", "sending", "waiting", "done"];
const takesPlace = (item) => item.state !== "refused" && item.state !== "failed";

function refuse(item, problem) {
  item.state = "refused";
  item.error = problem;
}

class View {
  constructor(parent) {
    this.rows = new Map();
    this.input = h("input", { type: "file", multiple: true, hidden: true, tabIndex: -1 });
    this.label = h("div", { className: "label" });
    this.choose = h("button", { type: "button", className: "choose" }, "Choose files");
    this.invitation = h("div", { className: "say" });
    this.limit = h("div", { className: "limit" });
    this.zone = h(
      "div",
      { className: "zone" },
      icon("upload"),
      h("div", { className: "words" }, this.invitation, this.limit),
      this.choose,
    );
    this.summary = h("span");
    this.action = h("button", { type: "button", className: "link" });
    this.head = h("div", { className: "head" }, this.summary, this.action);
    this.list = h("ul");
    this.more = h("div", { className: "more" });
    this.said = h("div", { className: "said", role: "status" });
    this.root = h("div", { className: "uploader" }, this.label, this.input, this.zone, this.head, this.list, this.more, this.said);
    parent.append(this.root);
    this.listen();
  }

  show(component, queue) {
    const { data } = component;
    if (this.queue !== queue) this.detach();
    this.queue = queue;
    this.label.textContent = data.label;
    this.what = data.what;
    this.input.setAttribute("aria-label", data.label);
    this.choose.setAttribute("aria-label", `Choose files: ${data.label}`);
    this.limit.textContent = `Up to ${sizeText(data.largest)} a file`;
    queue.changed = () => this.draw();
    queue.settled = (files) => component.setStateValue("files", files);
    if (!queue.pending.length) queue.tell(); // what arrived while another page was looked at
    this.draw();
  }

  destroy() {
    cancelAnimationFrame(this.frame);
    this.detach();
    this.root.remove();
  }

  detach() {
    if (this.queue) Object.assign(this.queue, { changed: () => {}, settled: () => false });
  }

  listen() {
    this.choose.onclick = () => this.pick(false);
    this.zone.onclick = (event) => {
      if (!event.composedPath().includes(this.choose)) this.pick(false);
    };
    this.input.onchange = () => {
      const files = [...this.input.files];
      this.input.value = ""; // so that the same file can be chosen again
      if (files.length) this.queue.add(files, this.beside);
    };
    this.action.onclick = () => (this.queue.pending.length ? this.queue.cancel() : this.pick(true));
    const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");
    const over = (is) => this.zone.classList.toggle("over", is);
    this.zone.ondragenter = (event) => carriesFiles(event) && (event.preventDefault(), over(true));
    this.zone.ondragleave = (event) => this.zone.contains(event.relatedTarget) || over(false);
    this.zone.ondragover = (event) => {
      if (!carriesFiles(event)) return;
      event.preventDefault();
      event.dataTransfer.dropEffect = "copy";
    };
    this.zone.ondrop = async (event) => {
      if (!carriesFiles(event)) return;
      event.preventDefault();
      over(false);
      const files = await filesOf(event.dataTransfer, this.queue.most);
      if (files.length) this.queue.add(files, false);
      else this.said.textContent = "There is no file in what was dropped.";
    };
  }

  pick(beside) {
    this.beside = beside;
    this.input.click();
  }

  draw() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this.paint();
    });
  }

  paint() {
    const { items, pending } = this.queue;
    const left = pending.length ? this.queue.secondsLeft() : null;
    const done = items.filter((item) => item.state === "done");
    const several = items.filter(takesPlace).length > 1;
    setText(this.invitation, `Drop ${done.length ? "another" : "a"} ${this.what}`);
    this.head.hidden = !several;
    if (pending.length) {
      const coming = items.filter(takesPlace);
      const [sent, size] = ["sent", "size"].map((name) => coming.reduce((sum, item) => sum + item[name], 0));
      const parts = [`${done.length} of ${coming.length} files`, `${sizeText(sent)} of ${sizeText(size)}`];
      if (left !== null) parts.push(`${timeText(left)} left`);
      setText(this.summary, parts.join(" · "));
      setText(this.action, "Cancel all");
    } else {
      const size = done.reduce((sum, item) => sum + item.size, 0);
      setText(this.summary, `${done.length} files, read together · ${sizeText(size)}`);
      setText(this.action, "Add files");
    }
    // What needs a look comes first; of a long list the rest is counted.
    const shown = [...items].sort((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state)).slice(0, MOST_ROWS);
    setText(this.more, items.length > shown.length ? `and ${items.length - shown.length} more` : "");
    for (const [item, row] of this.rows) {
      if (!shown.includes(item)) {
        row.root.remove();
        this.rows.delete(item);
      }
    }
    shown.forEach((item, place) => {
      const row = this.rows.get(item) ?? new Row(item, this);
      this.rows.set(item, row);
      row.paint(several ? null : left, !several && !pending.length);
      if (this.list.children[place] !== row.root) this.list.insertBefore(row.root, this.list.children[place] ?? null);
    });
    this.say(pending, done);
  }

  /** For screen readers: the start and the end of sending, not every step. */
  say(pending, done) {
    const now = pending.length ? "sending" : done.length ? "done" : "";
    if (now === this.saying) return;
    this.saying = now;
    if (now === "sending") setText(this.said, pending.length > 1 ? `Sending ${pending.length} files` : `Sending ${pending[0].name}`);
    if (now === "done") setText(this.said, done.length > 1 ? `${done.length} files have arrived` : `${done[0].name} has arrived`);
  }
}

class Row {
  constructor(item, view) {
    const queue = view.queue;
    this.item = item;
    this.name = h("span", { className: "name", title: item.name }, item.name);
    this.figures = h("span", { className: "figures" });
    this.again = h("button", { type: "button", className: "link", onclick: () => queue.again(item) }, "Try again");
    this.beside = h("button", { type: "button", className: "link", onclick: () => view.pick(true) }, "Add files");
    this.remove = h("button", { type: "button", className: "remove", onclick: () => queue.remove(item) }, icon("cross"));
    this.bar = h("progress", { max: 1, value: 0 });
    this.bar.setAttribute("aria-label", item.name);
    this.error = h("div", { className: "error", role: "alert" });
    const line = h("div", { className: "line" }, icon("file"), this.name, this.figures, this.again, this.beside, this.remove);
    this.root = h("li", {}, line, this.bar, this.error);
  }

  paint(secondsLeft, alone) {
    const { item } = this;
    const coming = item.state === "sending" || item.state === "lost";
    this.root.className = item.state;
    const figures = {
      waiting: `${sizeText(item.size)} · waiting`,
      sending: `${sizeText(item.sent)} of ${sizeText(item.size)}${secondsLeft === null ? "" : ` · ${timeText(secondsLeft)} left`}`,
      lost: "Connection lost, trying again …",
      done: sizeText(item.size),
    };
    setText(this.figures, figures[item.state] ?? "");
    setText(this.error, item.error ?? "");
    this.error.hidden = !item.error;
    this.again.hidden = !item.again;
    this.beside.hidden = !(alone && item.state === "done");
    this.bar.hidden = !coming;
    this.bar.value = coming ? item.sent / item.size : 0;
    const what = coming || item.state === "waiting" ? "Cancel" : "Remove";
    this.remove.setAttribute("aria-label", `${what} ${item.name}`);
    this.remove.title = what;
  }
}

/** The files of a drop, those inside dropped folders included; hidden ones are left out. Stops beyond `most`. */
async function filesOf(transfer, most) {
  const entries = [...transfer.items].filter((item) => item.kind === "file").map((item) => item.webkitGetAsEntry());
  const plain = [...transfer.files];
  const files = [];
  const walk = async (entry) => {
    if (entry.name.startsWith(".") || files.length > most) return;
    if (entry.isFile) files.push(await new Promise((resolve, reject) => entry.file(resolve, reject)));
    if (!entry.isDirectory) return;
    const reader = entry.createReader();
    for (;;) {
      const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject)); // a hundred at a time
      if (!some.length) return;
      for (const child of some) await walk(child);
    }
  };
  if (!entries.every(Boolean)) return plain;
  for (const entry of entries) await walk(entry);
  return files;
}

async function readable(file) {
  try {
    await file.slice(0, 1).arrayBuffer();
    return true;
  } catch {
    return false;
  }
}

function randomId() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function sizeText(bytes) {
  for (const [unit, name] of [[1e9, "GB"], [1e6, "MB"], [1e3, "kB"]]) {
    if (bytes >= unit) return `${bytes >= 100 * unit ? Math.round(bytes / unit) : Number((bytes / unit).toPrecision(3))} ${name}`;
  }
  return `${bytes} bytes`;
}

function timeText(seconds) {
  if (seconds < 60) return `${Math.max(1, Math.round(seconds))} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function h(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

const PATHS = {
  upload: "M12 16V5m0 0-4.5 4.5M12 5l4.5 4.5M4.5 15.5v3a1 1 0 0 0 1 1h13a1 1 0 0 0 1-1v-3",
  file: "M4.5 5.5h15v13h-15zM4.5 10h15M10 10v8.5",
  cross: "M6.5 6.5l11 11m0-11-11 11",
};

function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", `icon ${name}`);
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}
