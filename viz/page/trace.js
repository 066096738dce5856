// What feeds a box, and what it feeds: up and down along the wires of one picture.

const FOLLOWED = ["flow", "write", "rate", "init"]; // not states and gradients, which go round

class Trace {
  constructor(svg) {
    this.svg = svg;
    this.edges = [...svg.querySelectorAll(".edge[data-from]")];
    this.frames = new Map(); // box: the frame that shares its inputs with it
    this.held = new Map(); // frame: its boxes
    for (const frame of svg.querySelectorAll(".cluster.frame")) this.held.set(frame.dataset.id, []);
    for (const node of svg.querySelectorAll(".node[data-in]")) {
      if (!this.held.has(node.dataset.in) || node.dataset.of) continue;
      this.frames.set(node.dataset.id, node.dataset.in);
      this.held.get(node.dataset.in).push(node.dataset.id);
    }
    this.out = this.sorted("from");
    this.into = this.sorted("to");
    this.fed = new Set([...this.held.keys()].filter((frame) => this.into.has(frame)));
  }

  sorted(end) {
    const found = new Map();
    for (const edge of this.edges) {
      const key = edge.dataset[end];
      if (!found.has(key)) found.set(key, []);
      found.get(key).push(edge);
    }
    return found;
  }

  // The boxes and wires that are reached from one box, up or down.
  reach(start, up) {
    const [nodes, edges, waiting] = [new Set(), new Set(), [start]];
    while (waiting.length) {
      const at = waiting.pop();
      const frame = this.frames.get(at);
      const same = up ? (this.fed.has(frame) ? [at, frame] : [at]) : [at];
      for (const edge of same.flatMap((key) => (up ? this.into : this.out).get(key) ?? [])) {
        if (edges.has(edge)) continue;
        const followed = FOLLOWED.some((kind) => edge.classList.contains(kind));
        if (!followed && at !== start) continue;
        edges.add(edge);
        const next = edge.dataset[up ? "from" : "to"];
        const found = !up && this.fed.has(next) ? this.held.get(next) : [next];
        for (const key of found.filter((key) => !nodes.has(key))) {
          nodes.add(key);
          if (followed) waiting.push(key);
        }
      }
    }
    nodes.delete(start);
    return { nodes, edges };
  }

  light(start) {
    this.clear();
    if (start == null) return;
    this.svg.classList.add("traced");
    for (const [name, up] of [["up", true], ["down", false]]) {
      const { nodes, edges } = this.reach(start, up);
      for (const edge of edges) edge.classList.add(name);
      for (const node of this.svg.querySelectorAll(".node[data-id]"))
        if (nodes.has(node.dataset.of ?? node.dataset.id)) node.classList.add(name);
    }
    for (const node of this.svg.querySelectorAll(".node[data-id]"))
      if ((node.dataset.of ?? node.dataset.id) === start) node.classList.add("here");
  }

  clear() {
    this.svg.classList.remove("traced");
    for (const element of this.svg.querySelectorAll(".up, .down, .here"))
      element.classList.remove("up", "down", "here");
  }
}
