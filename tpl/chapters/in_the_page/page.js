// The controls: what the reader chooses goes to the worker as a question, and what it answers is drawn.
"use strict";

const SCALE = 1 / 1.94;  // from the unit sphere to the size that the scenes of the book have
const GRIDS = [32, 64];  // cells along each side: what is there at once, and what is better
const part = name => document.getElementById(name);
const bytesOf = text => Uint8Array.from(atob(text), letter => letter.charCodeAt(0));

// --- the worker: a script of its own that needs no file, since a page that is a file may load none

const questions = new Map();
let asked = 0;

function startWorker() {
  const worker = new Worker(URL.createObjectURL(new Blob([PAGE.worker], { type: "text/javascript" })));
  worker.onmessage = ({ data }) => {
    const { answered, resolve, reject } = questions.get(data.number);
    if (!data.done) return answered(data);
    questions.delete(data.number);
    if (data.error) reject(new Error(data.error)); else resolve();
  };
  worker.onerror = event => fail(event.message);
  return worker;
}

// Resolves to the last answer; earlier ones go to `answered` as they come.
function ask(question, answered = () => {}) {
  return new Promise((resolve, reject) => {
    let last = null;
    const keep = answer => {
      last = answer;
      answered(answer);
    };
    questions.set(++asked, { answered: keep, resolve: () => resolve(last), reject });
    worker.postMessage({ ...question, number: asked });
  });
}

// --- what is shown now

const now = { category: null, data: null, view: null, code: null, shifts: [], step: 0, mesh: null };
let worker = null, plots = null;

function tell(text, error = false) {
  part("told").textContent = text;
  part("told").className = error ? "error" : "";
}

function fail(text) {
  tell(text, true);
  document.body.dataset.state = "failed";
}

function toggled(group, chosen) {
  for (const button of group.querySelectorAll("button")) button.setAttribute("aria-pressed", button === chosen);
}

function button(label, act) {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = label;
  made.addEventListener("click", act);
  return made;
}

// --- categories: the networks of each are a script beside this page, loaded when it is asked for

const received = {};
window.receive = (category, data) => { received[category] = data; };

function load(category) {
  if (received[category]) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = PAGE.files[category];
    script.onload = resolve;
    script.onerror = () => reject(new Error(`${PAGE.files[category]} is not beside this page.`));
    document.head.append(script);
  });
}

async function choose(category, chosen) {
  document.body.dataset.state = "busy";
  toggled(part("categories"), chosen);
  tell(`Reading the networks for ${category} ...`);
  await load(category);
  const data = received[category];
  Object.assign(now, { category, data, shifts: data.directions.map(() => 0), step: data.networks.decoder.steps });
  await ask({ ask: "load", networks: data.networks });
  part("views").replaceChildren(...data.views.map((view, number) => {
    const made = button("", () => guarded(() => look(view, made)));
    const image = new Image();
    Object.assign(image, { src: view.picture, alt: `test view ${number + 1}: ${view.name}` });
    made.append(image);
    return made;
  }));
  makeSliders();
  await look(data.views[0], part("views").firstChild);
}

// --- pictures

async function pixelsOf(file, most) {  // as { values, width, height }
  const image = await createImageBitmap(file);
  const scale = Math.min(1, most / Math.max(image.width, image.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(scale * image.width));
  canvas.height = Math.max(1, Math.round(scale * image.height));
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  const { data, width, height } = context.getImageData(0, 0, canvas.width, canvas.height);
  return { values: data, width, height };
}

// A test view comes with its pixels as numbers, too: what a browser gives back of a picture may be changed a little, by
// management of colours, or so that its reader is not recognised.
async function look(view, chosen) {
  toggled(part("views"), chosen);
  await see(bytesOf(view.pixels), view);
}

async function lookAtFile(file) {
  toggled(part("views"), null);
  document.body.dataset.state = "busy";
  let picture;
  try {
    picture = await pixelsOf(file, 640);
  } catch (error) {
    throw new Error(`${file.name} cannot be read as an image: choose a PNG or JPEG file.`);
  }
  const { seen } = await ask({ ask: "frame", picture, share: now.data.share });
  await see(seen, null);
}

// From what the network sees to its meshes; the time counts from here.
async function see(seen, view) {
  document.body.dataset.state = "busy";
  const side = Math.sqrt(seen.length / 3), canvas = part("seen");
  canvas.width = canvas.height = side;
  const image = new ImageData(side, side);
  for (let n = 0; n < side * side; n++) image.data.set([...seen.subarray(3 * n, 3 * n + 3), 255], 4 * n);
  canvas.getContext("2d").putImageData(image, 0, 0);
  if (plots) {
    part("beside").hidden = !view;
    if (view) draw(plots[1], truthOf(view));
  }
  now.view = view;
  const start = performance.now();
  now.code = (await ask({ ask: "encode", seen })).code;
  resetSliders();
  await mesh(GRIDS, start);
}

function truthOf({ truth }) {
  const places = new Int16Array(bytesOf(truth.vertices).buffer), count = places.length / 3;
  return {
    vertices: Float32Array.from(places, place => place / 32767),
    faces: Uint32Array.from(new Uint16Array(bytesOf(truth.faces).buffer)),
    colours: Uint8Array.from({ length: 3 * count }, (_, n) => now.data.clay[n % 3]),
  };
}

// --- meshes

let running = null, waiting = null;

// The mesh of the code and the sliders. While one is made only the latest wish waits.
function mesh(resolutions, start = performance.now()) {
  if (running) {
    waiting = [resolutions, start];
    return running;
  }
  document.body.dataset.state = "busy";
  const code = now.code.map((value, n) =>
    value + now.shifts.reduce((sum, shift, direction) => sum + shift * now.data.directions[direction][n], 0));
  const times = [];
  let points = 0;
  running = ask({ ask: "mesh", code, step: now.step, resolutions }, answer => {
    points += answer.asked;
    times.push(`${answer.resolution}\u00b3 after ${((performance.now() - start) / 1000).toFixed(2)} s`);
    now.mesh = { ...answer, seconds: (performance.now() - start) / 1000 };
    if (plots && answer.faces.length) {
      part("made").textContent = `mesh, ${answer.resolution}\u00b3`;
      draw(plots[0], answer);
    }
    const found = answer.faces.length ? `${answer.faces.length / 3} faces` : "no surface";
    tell(`${times.join(", ")}: ${found}, ${points} points asked, in one thread of this browser.`);
  }).then(() => {
    running = null;
    part("download").disabled = !now.mesh.faces.length;
    if (waiting) {
      const next = waiting;
      waiting = null;
      return mesh(...next);
    }
    document.body.dataset.state = "done";
  }, error => {
    running = null;
    throw error;
  });
  return running;
}

function draw(plot, { vertices, faces, colours }) {
  const world = plot.getWorld(), [id] = Object.keys(world.ObjectsListJson), count = vertices.length / 3;
  const packed = Uint32Array.from({ length: count }, (_, n) =>
    colours[3 * n] << 16 | colours[3 * n + 1] << 8 | colours[3 * n + 2]);
  return plot.reload({
    ...world.ObjectsListJson[id],
    vertices: { data: vertices.map(place => place * SCALE), shape: [count, 3] },
    indices: { data: faces, shape: [faces.length / 3, 3] },
    colors: { data: packed, shape: [count] },
  }, null).then(() => plot.render());
}

// --- sliders

function makeSliders() {
  const slider = (name, low, high, step, value, moved) => {
    const label = document.createElement("label"), input = document.createElement("input");
    const shown = document.createElement("output");
    Object.assign(input, { type: "range", min: low, max: high, step, value });
    const show = () => {
      shown.textContent = input.value;
      moved(Number(input.value));
    };
    shown.textContent = value;
    input.addEventListener("input", () => { show(); guarded(() => mesh(GRIDS.slice(0, 1))); });
    input.addEventListener("change", () => { show(); guarded(() => mesh(GRIDS)); });
    label.append(name, shown, input);
    return label;
  };
  const { directions, networks } = now.data, steps = networks.decoder.steps;
  part("sliders").replaceChildren(
    ...directions.map((_, n) => slider(`direction ${n + 1} of the codes`, -3, 3, 0.1, 0, value => {
      now.shifts[n] = value;
      part("back").disabled = false;
    })),
    slider("steps of the warp", 1, steps, 1, steps, value => {
      now.step = value;
      part("back").disabled = false;
    }));
}

function resetSliders() {
  now.shifts.fill(0);
  now.step = now.data.networks.decoder.steps;
  makeSliders();
  part("back").disabled = true;
}

// --- a file of the mesh, as glTF has it: binary, with a colour a vertex

function glb({ vertices, faces, colours }) {
  const count = vertices.length / 3, low = [0, 1, 2].map(() => Infinity), high = low.map(value => -value);
  const places = vertices.map(place => place * SCALE);
  places.forEach((place, n) => {
    low[n % 3] = Math.min(low[n % 3], place);
    high[n % 3] = Math.max(high[n % 3], place);
  });
  const linear = value => value <= 10 ? value / 3294.6 : ((value / 255 + 0.055) / 1.055) ** 2.4;  // glTF's are linear
  const shades = new Uint8Array(4 * count).fill(255);
  colours.forEach((value, n) => { shades[4 * Math.floor(n / 3) + n % 3] = Math.round(255 * linear(value)); });
  const parts = [places, shades, faces].map(array => new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
  const starts = [0, parts[0].length, parts[0].length + parts[1].length], length = starts[2] + parts[2].length;
  const json = JSON.stringify({
    asset: { version: "2.0", generator: "tpl" },
    scene: 0, scenes: [{ nodes: [0] }], nodes: [{ mesh: 0 }],
    materials: [{ pbrMetallicRoughness: { metallicFactor: 0, roughnessFactor: 0.9 }, doubleSided: true }],
    meshes: [{ primitives: [{ attributes: { POSITION: 0, COLOR_0: 1 }, indices: 2, material: 0 }] }],
    buffers: [{ byteLength: length }],
    bufferViews: parts.map((one, n) =>
      ({ buffer: 0, byteOffset: starts[n], byteLength: one.length, target: n === 2 ? 34963 : 34962 })),
    accessors: [
      { bufferView: 0, componentType: 5126, count, type: "VEC3", min: low, max: high },
      { bufferView: 1, componentType: 5121, normalized: true, count, type: "VEC4" },
      { bufferView: 2, componentType: 5125, count: faces.length, type: "SCALAR" },
    ],
  });
  const text = new TextEncoder().encode(json.padEnd(Math.ceil(json.length / 4) * 4));
  const file = new DataView(new ArrayBuffer(28 + text.length + length)), bytes = new Uint8Array(file.buffer);
  [0x46546c67, 2, bytes.length, text.length, 0x4e4f534a].forEach((word, n) => file.setUint32(4 * n, word, true));
  bytes.set(text, 20);
  [length, 0x004e4942].forEach((word, n) => file.setUint32(20 + text.length + 4 * n, word, true));
  parts.forEach((one, n) => bytes.set(one, 28 + text.length + starts[n]));
  return new Blob([bytes], { type: "model/gltf-binary" });
}

function download() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(glb(now.mesh));
  link.download = `${now.category}.glb`;
  link.click();
  URL.revokeObjectURL(link.href);
}

// --- the start

async function guarded(act) {  // what goes wrong is told, and the page goes on
  try {
    await act();
  } catch (error) {
    fail(error.message);
  }
}

function still(words) {  // what stands where something cannot run
  const [figure, caption, image] = ["figure", "figcaption", "img"].map(name => document.createElement(name));
  image.src = PAGE.still;
  image.alt = "pictures, the meshes that were made of them elsewhere, and the truth";
  image.style.maxWidth = "100%";
  caption.textContent = words;
  figure.append(image, caption);
  return figure;
}

function cannotRun() {
  part("told").after(still(""));
  throw new Error("This browser has no WebAssembly with vectors of 16 bytes, so the networks cannot run in it.");
}

function takeFiles() {
  const drop = part("drop"), input = drop.querySelector("input");
  const take = files => { if (files.length && now.data) guarded(() => lookAtFile(files[0])); };
  input.addEventListener("change", () => { take(input.files); input.value = ""; });
  for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
    document.addEventListener(kind, event => {  // anywhere on the page
      event.preventDefault();
      drop.classList.toggle("over", kind === "dragenter" || kind === "dragover");
      if (kind === "drop") take(event.dataTransfer.files);
    });
  }
}

require(["k3d"], k3d => guarded(async () => {
  const panels = document.querySelector(".panels");
  letScroll(panels);
  plots = await Promise.all(Array.from(document.querySelectorAll(".canvas"), canvas =>
    k3d.CreateK3DAndLoadBinarySnapshot(bytesOf(canvas.dataset.snapshot).buffer, canvas))).catch(() => null);
  if (plots) {
    turnTogether(plots);
    await new Promise(resolve => setTimeout(resolve, 200));  // k3d sets its camera 10 ms after loading
    turnByKeys(panels, plots);
  } else {
    panels.replaceChildren(still("No WebGL in this browser: it draws no mesh, but makes it for you to download."));
  }
  worker = startWorker();
  await ask({ ask: "start", kernel: PAGE.kernel, triangles: PAGE.triangles }).catch(() => cannotRun());
  for (const category of Object.keys(PAGE.files)) {
    const made = button(category, () => guarded(() => choose(category, made)));
    part("categories").append(made);
  }
  part("back").addEventListener("click", () => guarded(() => { resetSliders(); return mesh(GRIDS); }));
  part("download").addEventListener("click", download);
  takeFiles();
  await choose(Object.keys(PAGE.files)[0], part("categories").firstChild);
}));
