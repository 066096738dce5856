// A slider over tokens or steps; levels that tick at the chosen place light up.

// How many places of a unit lie between two ticks: a step ends when the context has been seen,
// and seen from steps, a clock on tokens ticks in each.
function between(clock, unit, context) {
  if (clock.unit === unit) return Math.max(1, clock.period);
  return unit === "tokens" ? clock.period * context : 1;
}

class Time {
  constructor(moved) {
    this.moved = moved;
    this.slider = make("input", { type: "range", min: 0, value: 0, step: 1, "aria-label": "position",
      oninput: () => this.go(Number(this.slider.value)) });
    this.told = make("output");
    this.chips = make("span");
    this.units = make("button", { class: "chip", type: "button", title: "Count tokens or steps (u)",
      onclick: () => this.turn() });
    this.element = make("footer", { class: "time" }, this.units, this.told, this.slider, this.chips);
  }

  show(data) {
    this.data = data;
    if (!data.units.includes(this.unit)) this.unit = data.units[0];
    this.units.hidden = data.units.length < 2;
    this.buttons = data.clocks.map((clock) =>
      make("button", { class: "chip", type: "button", title: `To the next tick of ${clock.name}`,
        onclick: () => this.jump(clock) }, clock.name));
    this.chips.replaceChildren(...this.buttons);
    this.count(this.unit, Math.min(this.at ?? 0, this.span));
  }

  get at() {
    return Number(this.slider.value);
  }

  get span() {
    return this.data.spans[this.data.units.indexOf(this.unit)];
  }

  // The place in a unit: tokens behind a step, or steps that have ended.
  place(unit) {
    if (unit === this.unit) return this.at;
    return unit === "tokens" ? this.at * this.data.context : Math.floor(this.at / this.data.context);
  }

  count(unit, at) {
    this.unit = unit;
    this.units.textContent = unit;
    this.slider.max = this.span;
    this.go(Math.min(at, this.span));
  }

  turn() {
    const other = this.data.units.find((unit) => unit !== this.unit);
    if (other) this.count(other, this.place(other));
  }

  go(at) {
    const { data } = this;
    this.slider.value = at > this.span ? 0 : at; // behind the last place comes the first
    const unit = this.unit.slice(0, -1);
    const step = this.unit === "tokens" ? `, step ${this.place("steps")}` : "";
    this.told.value = this.at === 0 ? `${unit} 0: the start` : `${unit} ${this.at}${step}`;
    const lit = data.clocks.map((clock) => this.ticks(clock));
    this.buttons.forEach((button, at) => button.classList.toggle("ticking", lit[at]));
    this.lit = new Set(data.clocks.flatMap((clock, at) => (lit[at] ? clock.keys : [])));
    this.moved();
  }

  ticks(clock) {
    if (clock.unit === "never" || this.at === 0) return false;
    return this.at % between(clock, this.unit, this.data.context) === 0;
  }

  next(clock) {
    if (clock.unit === "never") return this.at;
    const period = between(clock, this.unit, this.data.context);
    return (Math.floor(this.at / period) + 1) * period;
  }

  // To the next tick of a clock, counted in steps where tokens do not reach it.
  jump(clock) {
    if (this.next(clock) > this.span && clock.unit === "steps") this.count("steps", this.place("steps"));
    this.go(this.next(clock));
  }

  // To the next place at which a level ticks that is not the fastest of all.
  skip(back) {
    const moving = this.data.clocks.filter((clock) => clock.unit !== "never" && clock.period > 0);
    const slower = moving.length > 1 ? moving.slice(0, -1) : moving;
    if (!back) return this.go(Math.min(...slower.map((clock) => this.next(clock)), this.span + 1));
    const before = slower.map((clock) => {
      const period = between(clock, this.unit, this.data.context);
      return Math.max(0, Math.ceil(this.at / period) - 1) * period;
    });
    this.go(Math.max(0, ...before));
  }
}
