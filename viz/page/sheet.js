// One spec: its views, its panel, its clock, its problems.

class Sheet {
  constructor(data) {
    this.canvas = new Canvas();
    this.panel = new Panel(() => this.choose(null));
    this.time = new Time(() => this.tick());
    this.title = make("h2", { dir: "auto" });
    this.tabs = make("nav", { class: "tabs", role: "tablist" });
    this.problems = make("details", { class: "problems", role: "status", hidden: true });
    const middle = make("div", { class: "middle" }, this.canvas.element, this.panel.element);
    this.element = make("section", { class: "sheet" }, this.tabs, this.problems, middle, this.time.element);
    const canvas = this.canvas.element;
    canvas.addEventListener("pointerover", (event) => this.trace.light(this.keyOf(event.target)));
    canvas.addEventListener("pointerleave", () => this.trace.light(this.chosen));
    canvas.addEventListener("focusin", (event) => this.trace.light(this.keyOf(event.target) ?? this.chosen));
    canvas.addEventListener("click", (event) => this.canvas.dragged || this.choose(this.keyOf(event.target)));
    canvas.addEventListener("keydown", (event) => this.key(event));
    this.data = data;
    this.view = Object.keys(data.views)[0];
  }

  keyOf(target) {
    const node = target.closest?.(".node[data-id], .cluster[data-id]");
    if (!node) return null;
    const key = node.dataset.of ?? node.dataset.id;
    return this.data.nodes[key] ? key : null;
  }

  // Shows new data; the view, the place and the chosen box stay as they are.
  update(data, first = false) {
    const good = Object.keys(data.views).length > 0;
    this.data = good ? data : { ...this.data, problems: data.problems };
    this.tell(data.problems, good);
    if (!good && !first) return;
    const names = Object.keys(this.data.views);
    if (!names.includes(this.view)) this.view = names[0];
    const tab = (name, at) => make("button", { type: "button", role: "tab", title: `${at + 1}`,
      "aria-selected": String(name === this.view), onclick: () => this.turn(name) }, name);
    this.title.textContent = this.data.name;
    this.title.title = this.data.path;
    const none = ([name, why]) =>
      make("button", { type: "button", disabled: "", title: why }, name);
    const absent = Object.entries(this.data.absent ?? {});
    this.tabs.replaceChildren(this.title, ...names.map(tab), ...absent.map(none));
    this.time.element.hidden = names.length === 0;
    if (names.length === 0) return;
    this.draw();
    this.time.show(this.data);
    if (this.chosen != null) this.choose(this.data.nodes[this.chosen] ? this.chosen : null);
  }

  // Errors stand open; warnings wait until someone asks.
  tell(problems, good) {
    const what = good ? "warning" : "problem";
    const head = `${problems.length} ${what}${problems.length === 1 ? "" : "s"}`;
    const which = good || !this.canvas.svg ? "" : "; below is the last good picture";
    this.problems.hidden = problems.length === 0;
    this.problems.open = !good;
    this.problems.replaceChildren(make("summary", {}, head + which),
      ...problems.map((problem) => make("pre", {}, problem)));
    this.element.classList.toggle("stale", !good);
  }

  turn(view) {
    if (!this.data.views[view]) return;
    this.view = view;
    for (const tab of this.tabs.querySelectorAll("[role=tab]"))
      tab.setAttribute("aria-selected", String(tab.textContent === view));
    this.draw();
    this.canvas.fit();
    this.tick();
    this.choose(this.chosen);
  }

  draw() {
    this.canvas.show(this.data.views[this.view]);
    this.trace = new Trace(this.canvas.svg);
    this.raster = this.view === "clock" ? new Raster(this.canvas.svg, this.data) : null;
    for (const node of this.canvas.svg.querySelectorAll(".node[data-id]:not([data-of])")) {
      if (!this.data.nodes[node.dataset.id]) continue;
      node.setAttribute("tabindex", "0");
      node.setAttribute("role", "button");
    }
  }

  // The box of a key in this view: its own, or the one that it shares with others.
  boxOf(key) {
    const own = this.canvas.svg.querySelector(`[data-id="${key}"]`);
    if (own || key == null) return own;
    const shared = Object.keys(this.data.nodes).find((other) => this.data.nodes[other].members?.includes(key));
    return shared ? this.canvas.svg.querySelector(`[data-id="${shared}"]`) : null;
  }

  choose(key, centred = false) {
    this.chosen = key;
    for (const element of this.canvas.svg.querySelectorAll(".chosen")) element.classList.remove("chosen");
    const box = key == null ? null : this.boxOf(key);
    box?.classList.add("chosen");
    this.panel.show(this, key);
    this.trace.light(box?.classList.contains("node") ? box.dataset.id : null);
    if (box && centred) this.canvas.centre(box);
  }

  tick() {
    const { svg } = this.canvas;
    if (!svg || !this.time.lit) return;
    this.raster?.move(this.time);
    for (const element of svg.querySelectorAll("[data-id]"))
      element.classList.toggle("ticking", this.time.lit.has(element.dataset.id));
  }

  key(event) {
    if (typing(event)) return;
    const node = event.target.closest?.(".node[data-id]");
    if (event.key === "Escape") this.choose(null);
    else if (event.key === "[" || event.key === "]") this.time.go(Math.max(0, this.time.at + (event.key === "]" ? 1 : -1)));
    else if (event.key === "u") this.time.turn();
    else if (event.key === "{" || event.key === "}") this.time.skip(event.key === "{");
    else if (node && (event.key === "Enter" || event.key === " ")) this.choose(node.dataset.id);
    else if (node && event.key.startsWith("Arrow")) this.neighbour(node, event.key)?.focus();
    else return;
    event.preventDefault();
  }

  // The nearest box in the direction of an arrow key.
  neighbour(node, arrow) {
    const middle = (element) => {
      const box = element.querySelector("rect").getBoundingClientRect();
      return [box.x + box.width / 2, box.y + box.height / 2];
    };
    const [x, y] = middle(node);
    const [along, sign] = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [1, -1], ArrowDown: [1, 1] }[arrow];
    let [best, least] = [null, Infinity];
    for (const other of this.canvas.svg.querySelectorAll(".node[tabindex]")) {
      const [u, v] = middle(other);
      const away = [u - x, v - y];
      const [ahead, aside] = [away[along] * sign, Math.abs(away[1 - along])];
      if (ahead < 4 || ahead + 2 * aside >= least) continue;
      [best, least] = [other, ahead + 2 * aside];
    }
    return best;
  }
}
