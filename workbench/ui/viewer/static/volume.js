// The 3D view by NiiVue, loaded only when its tab is opened. Where it cannot be had, the tab says why.
"use strict";

function webgl2() {
  return document.createElement("canvas").getContext("webgl2");
}

function slowBecause() {
  // Without a graphics card the browser computes every pixel itself, and answers nothing meanwhile.
  const gl = webgl2();
  const info = gl?.getExtension("WEBGL_debug_renderer_info");
  const renderer = info ? gl.getParameter(info.UNMASKED_RENDERER_WEBGL) : "";
  gl?.getExtension("WEBGL_lose_context")?.loseContext();
  return /swiftshader|llvmpipe|software|basic render/i.test(renderer)
    ? "This browser draws without a graphics card: the 3D view may take a minute, and the page does not answer meanwhile." : null;
}

class VolumeView {
  constructor(canvas, note, facts, base) {
    Object.assign(this, { canvas, note, facts, base });
    this.nv = null;
    this.opening = null;
  }

  open() {
    if (this.opening) return;
    const reason = this.asked ? null : slowBecause();
    if (reason) {
      this.say(reason, "Draw it all the same");
      return;
    }
    this.opening = this.load().catch((error) => {
      this.say(error.message);
      this.nv = null;
    });
  }

  say(text, offer) {
    this.note.textContent = text;
    this.note.hidden = !text;
    if (!offer) return;
    const button = document.createElement("button");
    button.textContent = offer;
    button.addEventListener("click", () => { this.asked = true; this.open(); });
    this.note.append(document.createElement("br"), button);
  }

  async load() {
    if (!webgl2()) throw new Error("This browser gives no WebGL 2, which the 3D view needs. The three planes work without it.");
    this.say("Loading the volume …");
    await new Promise((resolve) => setTimeout(resolve, 60)); // let the sentence appear before the work begins
    await new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = "/viewer/static/niivue.umd.js";
      script.onload = resolve;
      script.onerror = () => reject(new Error(
        "The 3D viewer (NiiVue) is not installed on this workbench: run 'make run' again with npm at hand. The three planes work without it."));
      document.head.append(script);
    });
    const nv = new niivue.Niivue({
      backColor: [0.031, 0.047, 0.078, 1], crosshairColor: [0.43, 0.66, 0.9, 0.7], crosshairWidth: 1, show3Dcrosshair: true,
      isRadiologicalConvention: true, dragAndDropEnabled: false, isOrientCube: false, loadingText: "", logLevel: "silent",
      fontColor: [0.73, 0.78, 0.85, 1], clipPlaneColor: [0, 0, 0, 0], isClipAllVolumes: true, forceDevicePixelRatio: this.asked ? 0.5 : 0,
    });
    await nv.attachToCanvas(this.canvas);
    const [scan, labels] = await Promise.all([
      niivue.NVImage.loadFromUrl({ url: `${this.base}/files/scan.nii.gz`, name: "scan.nii.gz", colormap: "gray" }),
      niivue.NVImage.loadFromUrl({ url: `${this.base}/files/segmentation.nii.gz`, name: "segmentation.nii.gz", opacity: this.opacity ?? 0.35 }),
    ]);
    const shown = this.facts.structures;
    const parts = (from) => [0, ...shown.map((s) => parseInt(s.colour.slice(from, from + 2), 16))];
    labels.setColormapLabel({
      R: parts(1), G: parts(3), B: parts(5), A: [0, ...shown.map(() => 255)], I: [0, ...shown.map((s) => s.label)],
      labels: ["", ...shown.map((s) => (s.side ? `${s.side} ${s.name}` : s.name))],
    });
    // Both at once: every change of the list draws all volumes anew.
    nv.setSliceType(nv.sliceTypeRender);
    nv.setRenderAzimuthElevation(120, 12);
    nv.volumes = [scan, labels];
    nv.back = scan;
    nv.overlays = [labels];
    nv.updateGLVolume();
    this.nv = nv;
    this.say("");
    this.setCut(this.cut ?? 0);
    if (this.mm) this.go(this.mm);
    this.canvas.dataset.ready = "yes";
  }

  setOpacity(share) {
    this.opacity = share;
    if (this.nv) this.nv.setOpacity(1, share);
  }

  setCut(percent) {
    // A plane from the front: 0 leaves the head whole.
    this.cut = percent;
    if (this.nv) this.nv.setClipPlane(percent > 0 ? [0.55 - percent / 100, 180, 0] : [2, 0, 0]);
  }

  go(mm) {
    this.mm = mm;
    if (!this.nv) return;
    this.nv.scene.crosshairPos = this.nv.mm2frac(mm);
    this.nv.drawScene();
  }
}
