// Puts the viewer together: state, legend, tools, tabs, and messages from the page around it.
"use strict";

(async function main() {
  const job = location.pathname.split("/")[2];
  const base = `/imaging/analysis/${job}`;
  const byId = (id) => document.getElementById(id);
  const problem = byId("problem");
  const response = await fetch(`/viewer/${job}/facts.json`, { credentials: "same-origin" }).catch(() => null);
  if (!response?.ok) {
    const said = await response?.json().catch(() => null);
    problem.textContent = said?.detail || "Images failed to load. Reload the page to try again.";
    problem.hidden = false;
    return;
  }
  const facts = await response.json();
  const pictures = new Pictures();
  const middle = facts.shape.map((size) => Math.floor(size / 2));
  let planes = [];
  let ahead = 0;
  let asking = 0;
  let tools = false; // whether zoom, window or ruler were used since the last reset

  const state = {
    voxel: [...middle],
    highlight: [],
    neurological: false,
    go(voxel) {
      this.voxel = voxel.map((index, axis) => Math.max(0, Math.min(facts.shape[axis] - 1, index)));
      draw();
      volume.go(millimetres());
      clearTimeout(asking);
      asking = setTimeout(tellWhere, 90);
    },
    move(axis, index) {
      const voxel = [...this.voxel];
      voxel[axis] = index;
      this.go(voxel);
    },
    resized: fit,
  };
  const volume = new VolumeView(byId("gl"), byId("volume-note"), facts, base, {
    moved(mm) {
      state.voxel = voxelAt(mm);
      draw();
      clearTimeout(asking);
      asking = setTimeout(tellWhere, 90);
    },
    windowed() { byId("preset").value = "custom"; },
    measured(mm) { byId("hint").textContent = `Distance: ${mm.toFixed(1)} mm`; },
  });
  planes = [...document.querySelectorAll(".plane")].map((section) => new Plane(section, facts, state, pictures, base));

  function millimetres() {
    return [0, 1, 2].map((row) => facts.affine[row].reduce((sum, value, column) => sum + value * (state.voxel[column] ?? 1), 0));
  }

  function draw() {
    document.body.classList.toggle("mirrored", state.neurological);
    planes.forEach((plane) => plane.draw());
    byId("millimetres").textContent = millimetres().map((v) => v.toFixed(0).replace("-", "−")).join(", ") + " mm";
    clearTimeout(ahead);
    ahead = setTimeout(() => planes.forEach((plane) => plane.fetchAhead(pictures)), 160);
  }

  async function tellWhere() {
    const asked = state.voxel.join(",");
    const answer = await fetch(`${base}/at/${asked}`, { credentials: "same-origin" }).then((r) => (r.ok ? r.json() : null)).catch(() => null);
    if (!answer || asked !== state.voxel.join(",")) return;
    const name = answer.name ?? "no label";
    byId("where").textContent = name[0].toUpperCase() + name.slice(1);
  }

  function fit() {
    const small = matchMedia("(max-width: 620px)").matches;
    // One scale for all three planes where they have the same room, so that sizes compare.
    const common = Math.min(...planes.map((plane) => plane.room()));
    planes.forEach((plane) => plane.size(small ? plane.room() : common));
  }

  function highlight(labels) {
    state.highlight = labels;
    volume.highlight(labels);
    document.querySelectorAll("#legend .name").forEach((button) => {
      const own = button.dataset.labels.split(",").map(Number);
      button.setAttribute("aria-pressed", String(labels.length > 0 && own.some((label) => labels.includes(label))));
    });
    draw();
  }

  function center(labels) {
    const found = facts.structures.find((s) => labels.includes(s.label));
    if (found) state.go(found.center);
    return Boolean(found);
  }

  function legend() {
    const groups = new Map();
    for (const s of facts.structures) {
      if (!groups.has(s.name)) groups.set(s.name, []);
      groups.get(s.name).push(s);
    }
    for (const [name, members] of groups) {
      const item = document.createElement("li");
      const button = document.createElement("button");
      button.className = "name";
      button.dataset.labels = members.map((s) => s.label).join(",");
      button.setAttribute("aria-pressed", "false");
      const swatch = document.createElement("i");
      swatch.style.background = members[0].colour;
      button.append(swatch, name[0].toUpperCase() + name.slice(1));
      button.title = `Highlight ${name}`;
      button.addEventListener("click", () => {
        const on = button.getAttribute("aria-pressed") === "true";
        highlight(on ? [] : members.map((s) => s.label));
        if (!on) center([members[0].label]);
      });
      item.append(button);
      for (const s of members.length > 1 ? members : []) {
        const go = document.createElement("button");
        go.className = "go";
        go.textContent = s.side === "left" ? "L" : "R";
        go.title = `Go to the ${s.side} ${name}`;
        go.setAttribute("aria-label", go.title);
        go.addEventListener("click", () => center([s.label]));
        item.append(go);
      }
      byId("legend").append(item);
    }
  }

  function opacity() {
    const share = Number(byId("opacity").value) / 100;
    document.querySelectorAll("canvas.labels").forEach((canvas) => { canvas.style.opacity = share; });
    volume.setOpacity(share);
  }

  function preset() {
    const range = facts.windows?.[byId("preset").value];
    if (!range) return;
    volume.setWindow(range);
    // The pictures are 8 bit over facts.window: brightness and contrast together are the linear map to the preset's range.
    const [black, white] = facts.window;
    const low = Math.max(0, (range[0] - black) / (white - black));
    const gain = 1 / Math.max(0.02, Math.min(1, (range[1] - black) / (white - black)) - low);
    const contrast = 1 + 2 * low * gain;
    document.querySelectorAll("canvas.scan").forEach((canvas) => {
      canvas.style.filter = `brightness(${(gain / contrast).toFixed(4)}) contrast(${contrast.toFixed(4)})`;
    });
  }

  function show() {
    // Pictures serve the crosshair until another tool was used (its zoom and measurements stay); the 3D tab always needs NiiVue.
    const render = document.body.dataset.tab === "volume";
    const mode = render ? "render" : tools && (volume.nv || volume.tool !== "crosshair") ? "slices" : "pictures";
    document.body.dataset.mode = mode;
    byId("volume").hidden = mode === "pictures";
    if (mode === "pictures") fit();
    else volume.open(mode);
  }

  function tab(name) {
    document.body.dataset.tab = name;
    for (const other of ["planes", "volume"]) {
      byId(`tab-${other}`).setAttribute("aria-selected", String(other === name));
      document.querySelectorAll(`.${other}-only`).forEach((tool) => { tool.hidden = other !== name; });
    }
    byId("planes").setAttribute("aria-labelledby", `tab-${name}`);
    show();
  }

  function use(tool) {
    document.querySelectorAll("[data-tool]").forEach((button) => {
      button.setAttribute("aria-pressed", String(button.dataset.tool === tool));
      if (button.dataset.tool === tool) byId("hint").textContent = button.title;
    });
    byId("hint").hidden = tool === "crosshair";
    tools ||= tool !== "crosshair";
    volume.use(tool);
    show();
  }

  function convention() {
    byId("convention").textContent = state.neurological ? "Neurological" : "Radiological";
    byId("convention").setAttribute("aria-pressed", String(state.neurological));
    volume.setNeurological(state.neurological);
    draw();
  }

  byId("opacity").addEventListener("input", opacity);
  byId("preset").addEventListener("change", preset);
  byId("cut").addEventListener("input", () => volume.setCut(Number(byId("cut").value)));
  byId("tab-planes").addEventListener("click", () => tab("planes"));
  byId("tab-volume").addEventListener("click", () => tab("volume"));
  document.querySelectorAll("[data-tool]").forEach((button) => button.addEventListener("click", () => use(button.dataset.tool)));
  byId("convention").addEventListener("click", () => { state.neurological = !state.neurological; convention(); });
  byId("reset").addEventListener("click", () => {
    for (const [id, value] of [["opacity", 35], ["cut", 0], ["preset", first]]) byId(id).value = value;
    state.neurological = false;
    volume.setCut(0);
    volume.reset();
    preset();
    opacity();
    convention();
    highlight([]);
    tools = false;
    use("crosshair");
    state.go([...middle]);
  });
  byId("fullscreen").hidden = !document.fullscreenEnabled;
  byId("fullscreen").addEventListener("click", () => {
    (document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen()).catch(() => {});
  });
  document.addEventListener("fullscreenchange", () => {
    byId("fullscreen").textContent = document.fullscreenElement ? "Exit full screen" : "Full screen";
  });
  document.addEventListener("picture-failed", () => {
    byId("where").textContent = "Image failed to load";
  });
  window.addEventListener("message", (event) => {
    if (event.origin !== location.origin || event.data?.type !== "workbench:show") return;
    const labels = (event.data.labels || []).map(Number);
    tab("planes");
    highlight(labels);
    if (event.data.mm) state.go(voxelAt(event.data.mm));
    else center(labels);
  });

  function voxelAt(mm) {
    // Scanner millimetres to voxels: the inverse of the affine's 3x3 part.
    const [a, b, c] = facts.affine.map((row) => row.slice(0, 3));
    const cross = (u, v) => [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]];
    const dot = (u, v) => u[0] * v[0] + u[1] * v[1] + u[2] * v[2];
    const rest = [0, 1, 2].map((row) => mm[row] - facts.affine[row][3]);
    const det = dot(a, cross(b, c));
    const columns = [cross(b, c), cross(c, a), cross(a, b)];
    const voxel = [0, 1, 2].map((axis) => Math.round(columns.reduce((sum, column, row) => sum + column[axis] * rest[row], 0) / det));
    return voxel.map((index, axis) => Math.max(0, Math.min(facts.shape[axis] - 1, index)));
  }

  const first = facts.windows?.brain ? "brain" : "full";
  byId("preset").value = first;
  legend();
  opacity();
  preset();
  new ResizeObserver(() => { fit(); volume.arrange(); }).observe(byId("planes"));
  const wished = new URLSearchParams(location.search).get("label");
  if (wished && facts.structures.some((s) => s.label === Number(wished))) {
    highlight([Number(wished)]);
    center([Number(wished)]);
  } else {
    // The thalami sit where all three planes show most; else the middle of the scan.
    const start = facts.structures.find((s) => s.label === 10) ?? facts.structures.find((s) => s.label === 16);
    state.go(start ? start.center : middle);
  }
  fit();
  document.body.dataset.ready = "yes";
  parent.postMessage({ type: "workbench:viewer-ready", job }, location.origin);
})();
