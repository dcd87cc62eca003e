// NiiVue: 3D rendering, and slices with its zoom, window and ruler. Loaded when first needed; without WebGL 2 the viewer says so.
"use strict";

const TOOLS = { crosshair: 8, pan: 3, window: 9, ruler: 2 }; // NiiVue's DRAG_MODE
const DIMMED = 56; // alpha (of 255) of structures that are not highlighted

function webgl2() {
  return document.createElement("canvas").getContext("webgl2");
}

function slowBecause() {
  // Software rendering blocks the page while a volume is rendered; slices are quick.
  const gl = webgl2();
  const info = gl?.getExtension("WEBGL_debug_renderer_info");
  const renderer = info ? gl.getParameter(info.UNMASKED_RENDERER_WEBGL) : "";
  gl?.getExtension("WEBGL_lose_context")?.loseContext();
  return /swiftshader|llvmpipe|software|basic render/i.test(renderer)
    ? "No GPU available: 3D rendering may take a minute and block the page." : null;
}

class VolumeView {
  constructor(canvas, note, facts, base, events) {
    // events: moved(mm), windowed(), measured(mm), called as the person uses the tools.
    Object.assign(this, { canvas, note, facts, base, events });
    this.nv = null;
    this.opening = null;
    this.mode = "slices";
    this.tool = "crosshair";
    this.highlighted = [];
  }

  open(mode) {
    // Show "slices" or "render"; true once it is drawn.
    this.mode = mode;
    const reason = this.asked || mode === "slices" ? null : slowBecause();
    if (reason) {
      this.say(reason, "Render anyway");
      return Promise.resolve(false);
    }
    this.say(this.nv ? "" : "Loading volume …");
    this.opening ??= this.load();
    return this.opening.then(() => { this.arrange(); return true; }).catch((error) => {
      this.say(error.message);
      this.opening = null;
      return false;
    });
  }

  say(text, offer) {
    this.note.textContent = text;
    this.note.hidden = !text;
    if (!offer) return;
    const button = document.createElement("button");
    button.textContent = offer;
    button.addEventListener("click", () => { this.asked = true; this.open(this.mode); });
    this.note.append(document.createElement("br"), button);
  }

  async load() {
    if (!webgl2()) throw new Error("WebGL 2 is not available in this browser. Use the Crosshair tool: it does not need WebGL.");
    await new Promise((resolve) => setTimeout(resolve, 60)); // lets the browser show the note first
    if (!window.niivue) {
      await new Promise((resolve, reject) => {
        const script = document.createElement("script");
        script.src = "/viewer/static/niivue.umd.js";
        script.onload = resolve;
        script.onerror = () => reject(new Error(
          "NiiVue is not installed on this workbench: run 'make run' again with npm available. The Crosshair tool works without it."));
        document.head.append(script);
      });
    }
    const nv = new niivue.Niivue({
      backColor: [0.031, 0.047, 0.078, 1], crosshairColor: [0.43, 0.66, 0.9, 0.7], crosshairWidth: 1, show3Dcrosshair: true,
      isRadiologicalConvention: !this.neurological, sagittalNoseLeft: true, showAllOrientationMarkers: true, dragAndDropEnabled: false,
      isOrientCube: false, loadingText: "", logLevel: "silent", viewModeHotKey: "", clipPlaneHotKey: "", cycleClipPlaneHotKey: "",
      fontColor: [0.73, 0.78, 0.85, 1], rulerColor: [1, 1, 1, 0.9], measureLineColor: [1, 1, 1, 1], measureTextColor: [1, 1, 1, 1],
      selectionBoxColor: [1, 1, 1, 0.3], clipPlaneColor: [0, 0, 0, 0], isClipAllVolumes: true, tileMargin: 2,
      forceDevicePixelRatio: this.asked ? 0.5 : 0,
    });
    await nv.attachToCanvas(this.canvas);
    const [scan, labels] = await Promise.all([
      niivue.NVImage.loadFromUrl({ url: `${this.base}/files/scan.nii.gz`, name: "scan.nii.gz", colormap: "gray" }),
      niivue.NVImage.loadFromUrl({ url: `${this.base}/files/segmentation.nii.gz`, name: "segmentation.nii.gz", opacity: this.opacity ?? 0.35 }),
    ]);
    this.labels = labels;
    this.colour();
    // Set together: every change of the list redraws all volumes.
    nv.volumes = [scan, labels];
    nv.back = scan;
    nv.overlays = [labels];
    this.nv = nv;
    this.setWindow(this.range);
    nv.updateGLVolume();
    nv.onLocationChange = (place) => { this.mm = [...place.mm].slice(0, 3); this.events.moved(this.mm); };
    nv.onIntensityChange = () => this.events.windowed();
    nv.onMeasurementCompleted = (measurement) => this.events.measured(measurement.distance);
    this.say("");
    this.setCut(this.cut ?? 0);
    this.use(this.tool);
    if (this.mm) this.go(this.mm);
    this.canvas.dataset.ready = "yes";
  }

  arrange() {
    if (!this.nv) return;
    this.say("");
    if (this.mode === "render") {
      this.nv.clearCustomLayout();
      this.nv.setSliceType(4);
      this.nv.setRenderAzimuthElevation(120, 12);
      return;
    }
    const narrow = matchMedia("(max-width: 620px)").matches;
    const at = narrow ? [[0, 0, 1, 0.66], [0, 0.66, 0.5, 0.34], [0.5, 0.66, 0.5, 0.34]] : [[0, 0, 0.5, 0.5], [0.5, 0, 0.5, 0.5], [0, 0.5, 0.5, 0.5]];
    this.nv.setSliceType(3);
    this.nv.setCustomLayout(at.map((position, sliceType) => ({ sliceType, position }))); // axial, coronal, sagittal
  }

  colour() {
    const shown = this.facts.structures;
    const parts = (from) => [0, ...shown.map((s) => parseInt(s.colour.slice(from, from + 2), 16))];
    const dim = (label) => (this.highlighted.length && !this.highlighted.includes(label) ? DIMMED : 255);
    this.labels.setColormapLabel({
      R: parts(1), G: parts(3), B: parts(5), A: [0, ...shown.map((s) => dim(s.label))], I: [0, ...shown.map((s) => s.label)],
      labels: ["", ...shown.map((s) => (s.side ? `${s.side} ${s.name}` : s.name))],
    });
  }

  highlight(labels) {
    this.highlighted = labels;
    if (!this.nv) return;
    this.colour();
    this.nv.updateGLVolume();
  }

  use(tool) {
    this.tool = tool;
    if (!this.nv) return;
    const mode = TOOLS[tool];
    this.nv.opts.dragMode = mode;
    this.nv.setMouseEventConfig({ leftButton: { primary: mode, withShift: TOOLS.pan }, rightButton: TOOLS.window, centerButton: TOOLS.pan });
    this.nv.setTouchEventConfig({ singleTouch: mode, doubleTouch: TOOLS.pan });
  }

  setWindow(range) {
    this.range = range;
    if (!this.nv || !range) return;
    [this.nv.volumes[0].cal_min, this.nv.volumes[0].cal_max] = range;
    this.nv.updateGLVolume();
  }

  setNeurological(on) {
    this.neurological = on;
    this.nv?.setRadiologicalConvention(!on);
  }

  setOpacity(share) {
    this.opacity = share;
    this.nv?.setOpacity(1, share);
  }

  setCut(percent) {
    // A clip plane from the front; 0 shows the whole head.
    this.cut = percent;
    this.nv?.setClipPlane(percent > 0 ? [0.55 - percent / 100, 180, 0] : [2, 0, 0]);
  }

  reset() {
    if (!this.nv) return;
    this.nv.clearAllMeasurements();
    this.nv.setPan2Dxyzmm([0, 0, 0, 1]);
  }

  go(mm) {
    this.mm = mm;
    if (!this.nv) return;
    this.nv.scene.crosshairPos = this.nv.mm2frac(mm);
    this.nv.drawScene();
  }
}
