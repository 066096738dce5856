// Moving and zooming one picture.

class Canvas {
  constructor() {
    this.stage = make("div", { class: "stage" });
    this.element = make("div", { class: "canvas", tabindex: 0, "aria-label": "picture" }, this.stage);
    this.at = { x: 0, y: 0, k: 1 };
    this.element.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    this.element.addEventListener("pointerdown", (event) => this.grab(event));
    this.element.addEventListener("keydown", (event) => this.key(event));
  }

  show(svg) {
    this.stage.innerHTML = svg; // written by nestgraph, which escapes every text
    this.svg = this.stage.firstElementChild;
  }

  fit() {
    const { clientWidth: width, clientHeight: height } = this.element;
    const [w, h] = [this.svg.width.baseVal.value, this.svg.height.baseVal.value];
    // A tall picture is wide enough to read; the rest is below.
    const k = Math.min(1.5, width / w, Math.max(height / h, Math.min(1, width / w) * 0.85));
    this.move({ x: Math.max(0, (width - w * k) / 2), y: Math.min(20, Math.max(0, (height - h * k) / 2)), k });
  }

  move(at) {
    this.at = at;
    this.stage.style.transform = `translate(${at.x}px, ${at.y}px) scale(${at.k})`;
  }

  zoom(factor, x = this.element.clientWidth / 2, y = this.element.clientHeight / 2) {
    const k = Math.min(8, Math.max(0.03, this.at.k * factor));
    const grown = k / this.at.k;
    this.move({ x: x - (x - this.at.x) * grown, y: y - (y - this.at.y) * grown, k });
  }

  wheel(event) {
    event.preventDefault();
    const box = this.element.getBoundingClientRect();
    const lines = event.deltaMode === 1 ? 16 : 1;
    this.zoom(Math.exp(-event.deltaY * lines * 0.0015), event.clientX - box.x, event.clientY - box.y);
  }

  grab(event) {
    if (event.button !== 0) return;
    const start = { ...this.at, px: event.clientX, py: event.clientY };
    this.dragged = false;
    const drag = (move) => {
      const [dx, dy] = [move.clientX - start.px, move.clientY - start.py];
      if (!this.dragged && Math.hypot(dx, dy) < 4) return;
      this.dragged = true;
      this.element.classList.add("held");
      this.move({ x: start.x + dx, y: start.y + dy, k: start.k });
    };
    const drop = () => {
      this.element.classList.remove("held");
      window.removeEventListener("pointermove", drag);
    };
    window.addEventListener("pointermove", drag);
    window.addEventListener("pointerup", drop, { once: true });
    window.addEventListener("pointercancel", drop, { once: true });
  }

  key(event) {
    if (typing(event)) return;
    const { x, y, k } = this.at;
    const steps = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };
    if (event.key === "+" || event.key === "=") this.zoom(1.25);
    else if (event.key === "-") this.zoom(0.8);
    else if (event.key === "0") this.fit();
    else if (event.target === this.element && steps[event.key])
      this.move({ x: x + steps[event.key][0], y: y + steps[event.key][1], k });
    else return;
    event.preventDefault();
  }

  // Brings an element into sight, large enough to read.
  centre(element) {
    if (this.at.k < 0.6) this.zoom(0.9 / this.at.k);
    const [box, own] = [element.getBoundingClientRect(), this.element.getBoundingClientRect()];
    const dx = own.x + own.width / 2 - box.x - box.width / 2;
    const dy = own.y + own.height / 2 - box.y - box.height / 2;
    this.move({ x: this.at.x + dx, y: this.at.y + dy, k: this.at.k });
  }
}
