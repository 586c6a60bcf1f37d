// One view of the page: a canvas for the frames of the server, and whatever costs no frame: the brush's outline, letters,
// a slider. Knows nothing of the study; the server decides what every event means.
(function () {
  "use strict";
  const TOPIC = "petct.views", METHOD = "petct.view";
  const STEP = 1.15, LEAST_MM = 1, MOST_MM = 200, PROBE_MS = 60;
  const SVG = "http://www.w3.org/2000/svg";
  const LETTER_PLACES = [
    "left:6px;top:50%;transform:translateY(-50%)", "right:6px;top:50%;transform:translateY(-50%)",
    "top:2px;left:50%;transform:translateX(-50%)", "bottom:2px;left:50%;transform:translateX(-50%)",
  ];

  function make(tag, parent, attributes = {}) {
    const element = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    parent.appendChild(element);
    return element;
  }

  class View {
    constructor(root, { name, title, color, maximize, slices }) {
      this.root = root;
      this.name = name;
      this.drawn = 0;
      this.info = {};
      this.brush = { tool: "", mm: 0 };
      this.pointer = null;
      this.pressed = false;
      this.probed = 0;
      root.style.setProperty("--petct-color", color);
      this.buildBar(title, maximize, slices);
      this.buildStage();
      this.listen();
      this.session = window.trame.client.getConnection().getSession();
      this.subscription = this.session.subscribe(TOPIC, ([message]) => this.receive(message));
      this.observer = new ResizeObserver(() => this.tellSize());
      this.observer.observe(this.stage);
      this.tellSize();
    }

    close() {
      this.observer.disconnect();
      this.session.unsubscribe(this.subscription);
    }

    // --- the elements

    buildBar(title, maximize, slices) {
      const bar = make("div", this.root, { class: "petct-bar" });
      make("b", bar).textContent = title;
      if (slices) {
        this.slider = make("input", bar, { type: "range", id: `${this.name}_slice`, "aria-label": title, tabindex: "-1" });
        this.slider.addEventListener("input", () => this.tell({ what: "offset", offset: Number(this.slider.value) }));
        this.place = make("span", bar, { class: "petct-place", id: `${this.name}_position` });
      } else make("span", bar, { class: "petct-gap" });
      const button = make("button", bar, { id: `${this.name}_maximize`, title: maximize, "aria-label": maximize });
      button.innerHTML = '<svg width="14" height="14" viewBox="0 0 14 14" fill="none" stroke="currentColor" ' +
        'stroke-width="1.5"><path d="M1 5V1h4M9 1h4v4M13 9v4H9M5 13H1V9"/></svg>';
      button.addEventListener("click", () => this.tell({ what: "maximize" }));
    }

    buildStage() {
      this.stage = make("div", this.root, { class: "petct-stage", id: `${this.name}_stage` });
      this.canvas = make("canvas", this.stage, { id: `${this.name}_canvas` });
      this.context = this.canvas.getContext("2d", { alpha: false });
      const svg = this.stage.appendChild(document.createElementNS(SVG, "svg"));
      this.rings = [["#000", 3], ["#fff", 1.25]].map(([stroke, width]) => {
        const ring = svg.appendChild(document.createElementNS(SVG, "circle"));
        for (const [key, value] of Object.entries({ fill: "none", stroke, "stroke-width": width, visibility: "hidden" }))
          ring.setAttribute(key, value);
        return ring;
      });
      this.letters = LETTER_PLACES.map((style) => make("span", this.stage, { class: "petct-letter", style }));
      this.value = make("span", this.stage, { class: "petct-value", id: `${this.name}_value` });
    }

    // --- what the user does

    listen() {
      const stage = this.stage, capture = { passive: false };
      stage.addEventListener("contextmenu", (event) => event.preventDefault());
      stage.addEventListener("pointerdown", (event) => this.down(event));
      stage.addEventListener("pointermove", (event) => this.move(event));
      for (const kind of ["pointerup", "pointercancel"]) stage.addEventListener(kind, (event) => this.up(event));
      stage.addEventListener("pointerleave", (event) => this.leave(event));
      stage.addEventListener("wheel", (event) => this.wheel(event), capture);
      stage.addEventListener("dblclick", () => { if (!this.brush.tool) this.tell({ what: "maximize" }); });
      this.root.addEventListener("keydown", (event) => this.key(event));
    }

    down(event) {
      this.root.focus({ preventScroll: true });
      try { this.stage.setPointerCapture(event.pointerId); } catch { /* a pointer that a test made up */ }
      this.pressed = true;
      this.tellPointer("down", event);
    }

    move(event) {
      this.pointer = this.at(event);
      this.showBrush();
      if (this.pressed || this.info.follows) this.tellPointer("move", event);
      else this.probe();
    }

    up(event) {
      if (!this.pressed) return;
      this.pressed = false;
      this.tellPointer("up", event);
    }

    leave(event) {
      if (this.pressed) return;
      this.pointer = null;
      this.value.textContent = "";
      this.showBrush();
      if (this.info.follows) this.tellPointer("leave", event);
    }

    wheel(event) {
      event.preventDefault();
      // Browsers turn a wheel with Shift into one to the side.
      const steps = -Math.sign(event.deltaY || event.deltaX);
      if (!steps) return;
      if (event.shiftKey && this.brush.tool) this.resizeBrush(STEP ** steps);
      else this.tell({ what: "wheel", steps, ctrl: event.ctrlKey || event.metaKey });
    }

    key(event) {
      if (event.ctrlKey || event.metaKey || event.altKey || event.target instanceof HTMLInputElement) return;
      const steps = { ArrowUp: 1, ArrowRight: 1, PageUp: 10, ArrowDown: -1, ArrowLeft: -1, PageDown: -10 }[event.key];
      const factor = { "[": 1 / STEP, "]": STEP }[event.key];
      if (steps) this.tell({ what: "wheel", steps, ctrl: false });
      else if (factor) this.resizeBrush(factor);
      else return;
      event.preventDefault();
    }

    resizeBrush(factor) {
      this.brush.mm = Math.min(MOST_MM, Math.max(LEAST_MM, this.brush.mm * factor));
      this.showBrush();
      this.tell({ what: "brush", mm: this.brush.mm });
    }

    // --- to the server

    tell(message) {
      return this.session.call(METHOD, [this.name, message]);
    }

    tellSize() {
      const { clientWidth: w, clientHeight: h } = this.stage;
      this.tell({ what: "size", w, h, ratio: window.devicePixelRatio || 1 });
    }

    at(event) {
      const box = this.stage.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    }

    tellPointer(kind, event) {
      const scale = this.canvas.width / (this.stage.clientWidth || 1);
      const passed = kind === "move" && event.getCoalescedEvents ? event.getCoalescedEvents() : [];
      const points = (passed.length ? passed : [event]).map((one) => this.at(one).map((value) => value * scale));
      this.tell({
        what: "pointer", kind, points, button: Math.max(0, event.button), pressed: this.pressed,
        shift: event.shiftKey, ctrl: event.ctrlKey || event.metaKey, alt: event.altKey,
      });
    }

    // The values under a resting pointer: asked for now and then, never while something is dragged.
    probe() {
      if (!this.slider || this.probing) return;
      this.probing = true;
      setTimeout(async () => {
        try {
          const scale = this.canvas.width / (this.stage.clientWidth || 1);
          const text = this.pointer && !this.pressed
            ? await this.tell({ what: "probe", x: this.pointer[0] * scale, y: this.pointer[1] * scale }) : "";
          if (!this.pressed) this.value.textContent = this.pointer ? text || "" : "";
        } finally { this.probing = false; }
      }, PROBE_MS);
    }

    // --- from the server

    async receive(message) {
      if (message.brush) {
        this.brush = { ...message.brush };
        this.showBrush();
      }
      if (message.name !== this.name) return;
      if (message.bytes) await this.draw(message);
      else if (message.info) this.write(message.info);
    }

    async draw({ number, bytes, type, w, h, info, sharp }) {
      try {
        const bitmap = await createImageBitmap(new Blob([bytes], { type }));
        // Decoding may overtake: an older frame must not cover a newer one.
        if (number >= this.drawn) {
          this.drawn = number;
          if (this.canvas.width !== w || this.canvas.height !== h) Object.assign(this.canvas, { width: w, height: h });
          this.context.drawImage(bitmap, 0, 0);
          this.write(info);
        }
        bitmap.close();
      } finally {
        if (!sharp) this.tell({ what: "arrived" });
      }
    }

    write(info) {
      this.info = info;
      if (this.slider && info.high > info.low) {
        Object.assign(this.slider, { min: info.low, max: info.high, step: info.step });
        if (document.activeElement !== this.slider || !this.slider.matches(":active")) this.slider.value = info.offset;
        this.place.textContent = info.text;
        this.letters.forEach((letter, place) => { letter.textContent = info.letters[place] || ""; });
      }
      this.showBrush();
    }

    showBrush() {
      const shown = Boolean(this.brush.tool && this.pointer && this.info.mm);
      this.stage.classList.toggle("petct-draws", Boolean(this.brush.tool && this.info.mm));
      for (const ring of this.rings) ring.setAttribute("visibility", shown ? "visible" : "hidden");
      if (!shown) return;
      const scale = this.stage.clientWidth / (this.canvas.width || 1);
      const radius = Math.max(2, (this.brush.mm / 2 / this.info.mm) * scale);
      for (const ring of this.rings) {
        ring.setAttribute("cx", this.pointer[0]);
        ring.setAttribute("cy", this.pointer[1]);
        ring.setAttribute("r", radius);
      }
      this.rings[1].setAttribute("stroke-dasharray", this.brush.tool === "erase" ? "5 4" : "none");
    }
  }

  const component = {
    props: ["name", "title", "color", "maximize", "slices"],
    mounted() { this.view = new View(this.$el, this.$props); },
    beforeUnmount() { this.view.close(); },
    render() { return window.Vue.h("div", { class: "petct-view", tabindex: "0" }); },
  };
  window.petctViews = { install(app) { app.component("petct-view", component); } };
})();
