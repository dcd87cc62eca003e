// The three planes: pictures from the gateway, drawn on canvases; a crosshair that all three share.
"use strict";

const AXES = { sagittal: 0, coronal: 1, axial: 2 };
// For each plane: the axis along the columns and along the rows. Pictures run from high to low on both.
const SPAN = { sagittal: [1, 2], coronal: [0, 2], axial: [0, 1] };
const LETTERS = { sagittal: ["A", "P", "S", "I"], coronal: ["R", "L", "S", "I"], axial: ["R", "L", "A", "P"] };

class Pictures {
  // Decoded pictures, the most recent kept; one request at a time a key, so that dragging never queues stale slices.
  constructor(kept = 240) {
    this.kept = kept;
    this.found = new Map();
  }

  get(url) {
    let picture = this.found.get(url);
    if (picture) {
      this.found.delete(url);
    } else {
      picture = fetch(url, { credentials: "same-origin" })
        .then((response) => (response.ok ? response.blob() : Promise.reject(new Error(String(response.status)))))
        .then(createImageBitmap);
      picture.catch(() => this.found.delete(url));
    }
    this.found.set(url, picture);
    if (this.found.size > this.kept) this.found.delete(this.found.keys().next().value);
    return picture;
  }
}

class Layer {
  // One canvas. It shows the latest picture asked for; while one is on its way, only the newest wish is remembered.
  constructor(canvas, pictures) {
    this.canvas = canvas;
    this.pictures = pictures;
    this.wish = null;
    this.busy = false;
  }

  async show(url) {
    this.wish = url;
    if (this.busy) return;
    this.busy = true;
    try {
      while (this.wish !== this.shown) {
        const next = this.wish;
        const picture = await this.pictures.get(next);
        if (this.canvas.width !== picture.width || this.canvas.height !== picture.height) {
          this.canvas.width = picture.width;
          this.canvas.height = picture.height;
        }
        const context = this.canvas.getContext("2d");
        context.clearRect(0, 0, picture.width, picture.height);
        context.drawImage(picture, 0, 0);
        this.shown = next;
        this.canvas.dataset.shown = next;
      }
    } catch (error) {
      this.wish = this.shown;
      document.dispatchEvent(new CustomEvent("picture-failed", { detail: error.message }));
    } finally {
      this.busy = false;
    }
  }
}

class Plane {
  constructor(section, facts, state, pictures, base) {
    this.name = section.dataset.plane;
    this.section = section;
    this.facts = facts;
    this.state = state;
    this.base = base;
    this.axis = AXES[this.name];
    [this.across, this.down] = SPAN[this.name];
    const title = this.name[0].toUpperCase() + this.name.slice(1);
    section.innerHTML = `
      <div class="frame"><div class="title"><b>${title}</b><span></span></div>
        <div class="stage ${this.across === 0 ? "flips" : ""}"><canvas class="scan"></canvas><canvas class="labels"></canvas>
          <div class="line v"></div><div class="line h"></div></div>
        <span class="side w"></span><span class="side e"></span><span class="side n"></span><span class="side s"></span>
      </div>
      <input type="range" min="0" max="${facts.shape[this.axis] - 1}" aria-label="${title} slice">`;
    this.frame = section.querySelector(".frame");
    this.stage = section.querySelector(".stage");
    this.slider = section.querySelector("input");
    this.counter = section.querySelector(".title span");
    this.scan = new Layer(section.querySelector(".scan"), pictures);
    this.labels = new Layer(section.querySelector(".labels"), pictures);
    this.vertical = section.querySelector(".line.v");
    this.horizontal = section.querySelector(".line.h");
    this.sides = ["w", "e", "n", "s"].map((side) => section.querySelector(`.side.${side}`));
    this.listen();
  }

  listen() {
    this.slider.addEventListener("input", () => this.state.move(this.axis, Number(this.slider.value)));
    this.section.addEventListener("keydown", (event) => {
      if (event.target === this.slider) return;
      const flip = this.mirrored ? -1 : 1;
      const steps = {
        ArrowLeft: [this.across, flip], ArrowRight: [this.across, -flip], ArrowUp: [this.down, 1], ArrowDown: [this.down, -1],
        PageUp: [this.axis, 1], PageDown: [this.axis, -1],
      };
      const step = steps[event.key];
      if (!step) return;
      event.preventDefault();
      this.state.move(step[0], this.state.voxel[step[0]] + step[1] * (event.shiftKey ? 10 : 1));
    });
    this.frame.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.state.move(this.axis, this.state.voxel[this.axis] + (event.deltaY < 0 ? 1 : -1));
    }, { passive: false });
    const point = (event) => {
      const box = this.stage.getBoundingClientRect();
      let x = (event.clientX - box.left) / box.width;
      const y = (event.clientY - box.top) / box.height;
      if (this.mirrored) x = 1 - x;
      const voxel = [...this.state.voxel];
      voxel[this.across] = Math.floor((1 - x) * this.facts.shape[this.across]);
      voxel[this.down] = Math.floor((1 - y) * this.facts.shape[this.down]);
      this.state.go(voxel);
    };
    this.stage.addEventListener("pointerdown", (event) => {
      this.section.focus({ preventScroll: true });
      if (document.body.dataset.main !== this.name && matchMedia("(max-width: 620px)").matches) {
        document.body.dataset.main = this.name;
        this.state.resized();
        return;
      }
      this.stage.setPointerCapture(event.pointerId);
      point(event);
    });
    this.stage.addEventListener("pointermove", (event) => {
      if (this.stage.hasPointerCapture(event.pointerId)) point(event);
    });
  }

  get mirrored() {
    return this.across === 0 && this.state.neurological;
  }

  millimetresWide() {
    return this.facts.shape[this.across] * this.facts.spacing[this.across];
  }

  millimetresHigh() {
    return this.facts.shape[this.down] * this.facts.spacing[this.down];
  }

  room() {
    // Pixels a millimetre that fit in this plane's frame.
    return Math.min((this.frame.clientWidth - 8) / this.millimetresWide(), (this.frame.clientHeight - 8) / this.millimetresHigh());
  }

  size(scale) {
    this.stage.style.width = `${Math.max(1, this.millimetresWide() * scale)}px`;
    this.stage.style.height = `${Math.max(1, this.millimetresHigh() * scale)}px`;
  }

  url(layer, index) {
    const highlight = layer === "labels" && this.state.highlight.length ? `?highlight=${this.state.highlight.join(",")}` : "";
    return `${this.base}/${layer === "labels" ? "labels" : "slice"}/${this.name}/${index}.${layer === "labels" ? "png" : "jpg"}${highlight}`;
  }

  draw() {
    const index = this.state.voxel[this.axis];
    this.scan.show(this.url("slice", index));
    this.labels.show(this.url("labels", index));
    this.slider.value = index;
    this.counter.textContent = `${index + 1} / ${this.facts.shape[this.axis]}`;
    const x = 1 - (this.state.voxel[this.across] + 0.5) / this.facts.shape[this.across];
    const y = 1 - (this.state.voxel[this.down] + 0.5) / this.facts.shape[this.down];
    this.vertical.style.left = `${100 * (this.mirrored ? 1 - x : x)}%`;
    this.horizontal.style.top = `${100 * y}%`;
    let [west, east, north, south] = LETTERS[this.name];
    if (this.mirrored) [west, east] = [east, west];
    [west, east, north, south].forEach((letter, side) => { this.sides[side].textContent = letter; });
  }

  fetchAhead(pictures) {
    const index = this.state.voxel[this.axis];
    for (const step of [1, -1, 2, -2]) {
      const next = index + step;
      if (next < 0 || next >= this.facts.shape[this.axis]) continue;
      pictures.get(this.url("slice", next)).catch(() => {});
      pictures.get(this.url("labels", next)).catch(() => {});
    }
  }
}
