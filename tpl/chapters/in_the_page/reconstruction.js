// From a picture to a mesh, in a page that no server stands behind: the encoder, the decoder, and marching cubes.
// The same as tpl.models, tpl.geometry.marching; a worker runs it. Arithmetic of matrices is in kernel.wat.
"use strict";

const BLOCK = 64;  // points that pass through the networks together: what they leave stays in a core's nearest cache

function decoded(text) {  // base64 to bytes
  const letters = atob(text), bytes = new Uint8Array(letters.length);
  for (let n = 0; n < bytes.length; n++) bytes[n] = letters.charCodeAt(n);
  return bytes;
}

function half(bits) {  // a 16-bit float
  const sign = bits & 0x8000 ? -1 : 1, exponent = bits >> 10 & 31, rest = bits & 1023;
  return sign * (exponent ? 2 ** (exponent - 15) * (1 + rest / 1024) : 2 ** -14 * rest / 1024);
}

function unpacked({ shape: [rows, columns], bits, data, scale }) {  // weights.py: pack
  const bytes = decoded(data).buffer;
  if (bits === 32) return { rows, columns, values: new Float32Array(bytes) };
  if (bits === 16) return { rows, columns, values: Float32Array.from(new Uint16Array(bytes), half) };
  const steps = new Float32Array(decoded(scale).buffer);
  return { rows, columns, values: Float32Array.from(new Int8Array(bytes), (step, n) => step * steps[n % columns]) };
}

// The kernel's memory, given out piece by piece: a piece is { at, values }, of whole numbers of 16 bytes.
class Memory {
  constructor(kernel) {
    this.kernel = kernel;
    this.end = 64;  // below it the kernel keeps numbers of its own
    this.pieces = [];
  }

  take(length) {
    const piece = { at: this.end, length };
    this.end += 4 * Math.ceil(length / 4) * 4;
    const missing = this.end - this.kernel.memory.buffer.byteLength;
    if (missing > 0) this.kernel.memory.grow(Math.ceil(missing / 65536));
    this.pieces.push(piece);
    return piece;
  }

  settle() {  // growing detaches what was seen of the memory before: look at it when all is taken
    for (const piece of this.pieces) piece.values = new Float32Array(this.kernel.memory.buffer, piece.at, piece.length);
  }
}

// A layer in the kernel's memory, with its columns filled up to a multiple of eight.
class Layer {
  constructor(memory, { matrix, bias }, extra = 0) {
    const { rows, columns, values } = unpacked(matrix);
    this.rows = rows + extra;  // `extra` further rows, of zeros until somebody fills them
    this.columns = Math.ceil(columns / 8) * 8;
    this.matrix = memory.take(this.rows * this.columns);
    this.bias = memory.take(this.columns);
    this.fill = () => {
      for (let row = 0; row < rows; row++) {
        this.matrix.values.set(values.subarray(row * columns, (row + 1) * columns), row * this.columns);
      }
      if (bias) this.bias.values.set(unpacked(bias).values);
    };
  }

  // Rows that lie `stride` numbers apart; the answer's lie as many apart as the layer has columns.
  apply(kernel, input, stride, output, rows, relu = false, skip = 0) {
    kernel.product(input.at + 4 * skip, 4 * stride, this.matrix.at + 4 * skip * this.columns, this.bias.at,
      output.at, 4 * this.columns, rows, this.rows - skip, this.columns, relu ? 1 : 0);
  }
}

function ready(memory, layers) {
  memory.settle();
  for (const layer of layers) layer.fill();
}

// tpl.models.DeepImplicitTemplate: s(p) = T(W(p, c)).
class Decoder {
  constructor(kernel, packed) {
    const memory = new Memory(kernel);
    this.kernel = kernel;
    this.steps = packed.steps;
    this.hidden = packed.hidden;
    this.coordinates = 3 + packed.beside;
    this.code = new Layer(memory, packed.code);
    this.gates = new Layer(memory, { matrix: packed.gates }, 1);  // the last row is the code's share
    this.readout = new Layer(memory, packed.readout);
    this.template = packed.template.map(layer => new Layer(memory, layer));
    this.latent = memory.take(4 * packed.latent);
    this.share = memory.take(4 * this.code.columns);
    this.width = this.hidden + 4;  // a point's row: its state, its position and a 1
    this.state = memory.take(BLOCK * this.width);
    this.cell = memory.take(BLOCK * this.hidden);
    this.gate = memory.take(BLOCK * this.gates.columns);
    this.change = memory.take(BLOCK * this.readout.columns);
    this.place = memory.take(BLOCK * this.coordinates);
    const widest = Math.max(...this.template.map(layer => layer.columns));
    this.features = [memory.take(BLOCK * widest), memory.take(BLOCK * widest)];
    ready(memory, [this.code, this.gates, this.readout, ...this.template]);
  }

  // All points that follow are of this shape, and their warp stops after some step.
  shape(code, step = this.steps) {
    this.latent.values.fill(0);
    this.latent.values.set(code);
    this.code.apply(this.kernel, this.latent, code.length, this.share, 4);
    this.gates.matrix.values.set(this.share.values.subarray(0, this.gates.columns),
      (this.gates.rows - 1) * this.gates.columns);
    this.step = step;
  }

  // Where the warp carries `count` points of the block; they stand in the rows of `state`.
  warp() {
    const { kernel, hidden, width, coordinates } = this;
    const state = this.state.values, change = this.change.values, place = this.place.values;
    this.cell.values.fill(0);
    for (let step = 0; step < this.step; step++) {
      this.gates.apply(kernel, this.state, width, this.gate, BLOCK, false, step ? 0 : hidden);  // its first state is 0
      kernel.advance(this.gate.at, this.cell.at, this.state.at, 4 * width, BLOCK, hidden);
      this.readout.apply(kernel, this.state, width, this.change, BLOCK);
      for (let n = 0; n < BLOCK; n++) {
        const point = n * width + hidden, by = n * this.readout.columns;
        for (let axis = 0; axis < 3; axis++) {
          state[point + axis] += change[by + axis] * state[point + axis] + change[by + 3 + axis];
        }
      }
    }
    for (let n = 0; n < BLOCK; n++) {
      const point = n * width + hidden, beside = n * this.readout.columns + 6, to = n * coordinates;
      for (let axis = 0; axis < 3; axis++) place[to + axis] = state[point + axis];
      for (let other = 3; other < coordinates; other++) place[to + other] = change[beside + other - 3];
    }
  }

  *blocks(points) {
    const count = points.length / 3, state = this.state.values;
    for (let start = 0; start < count; start += BLOCK) {
      const taken = Math.min(BLOCK, count - start);
      for (let n = 0; n < BLOCK; n++) {
        const from = 3 * (start + Math.min(n, taken - 1)), to = n * this.width + this.hidden;
        for (let axis = 0; axis < 3; axis++) state[to + axis] = points[from + axis];
        state[to + 3] = 1;
      }
      this.warp();
      yield [start, taken];
    }
  }

  // Signed distances at points (x, y, z, x, y, z, ...), negative inside.
  distances(points) {
    const values = new Float32Array(points.length / 3);
    for (const [start, taken] of this.blocks(points)) {
      let input = this.place, stride = this.coordinates;
      this.template.forEach((layer, depth) => {
        const output = this.features[depth % 2];
        layer.apply(this.kernel, input, stride, output, BLOCK, depth < this.template.length - 1);
        [input, stride] = [output, layer.columns];
      });
      for (let n = 0; n < taken; n++) values[start + n] = Math.tanh(input.values[n * stride]);
    }
    return values;
  }

  // Where the warp carries points: their places on the template.
  places(points) {
    const places = new Float32Array(points.length);
    for (const [start, taken] of this.blocks(points)) {
      for (let n = 0; n < taken; n++) {
        for (let axis = 0; axis < 3; axis++) {
          places[3 * (start + n) + axis] = this.place.values[n * this.coordinates + axis];
        }
      }
    }
    return places;
  }
}

// tpl.models.Encoder: a picture, on white, to the code of its shape. A map of features is { values, side, channels }.
class Encoder {
  constructor(kernel, packed) {
    const memory = new Memory(kernel), layers = [];
    const layer = description => {
      const made = Object.assign(new Layer(memory, description), description.size && {
        size: description.size, stride: description.stride, padding: description.padding,
        channels: description.matrix.shape[1],
      });
      layers.push(made);
      return made;
    };
    this.kernel = kernel;
    this.packed = packed;
    this.stem = layer(packed.stem);
    this.blocks = packed.blocks.map(({ first, second, shortcut }) =>
      ({ first: layer(first), second: layer(second), shortcut: shortcut && layer(shortcut) }));
    this.head = layer(packed.head);
    const most = Math.ceil(packed.size / 2) ** 2;  // pixels of the largest map
    this.patches = memory.take(4 + most * Math.max(...layers.map(one => one.rows)));
    this.answer = memory.take((4 + most) * Math.max(...layers.map(one => one.columns)));
    ready(memory, layers);
  }

  // The code of a picture: size x size pixels of red, green, blue, 0 to 1.
  code(picture) {
    const [seen, box] = this.look(picture);
    let map = pooled(this.convolve(this.stem, seen, true));
    for (const { first, second, shortcut } of this.blocks) {
      const other = shortcut ? this.convolve(shortcut, map) : map;
      map = this.convolve(second, this.convolve(first, map, true));
      map.values.forEach((value, n) => { map.values[n] = Math.max(0, value + other.values[n]); });
    }
    const features = Float32Array.from([...averages(map, this.packed.pool), ...box]);
    this.patches.values.fill(0, 0, 4 * features.length);
    this.patches.values.set(features);
    this.head.apply(this.kernel, this.patches, features.length, this.answer, 4);
    return this.answer.values.slice(0, this.packed.head.matrix.shape[1]);
  }

  // What the trunk is given of a picture, and what the head is told of where that was: `tpl.models.Encoder.looked_at`.
  look(picture) {
    const { size, crop, mask, luma, white, margin } = this.packed;
    const ink = new Float32Array(3 * size * size);  // 1 - value in each channel: nothing, where it is white
    let left = size, right = 0, top = size, bottom = 0;
    for (let n = 0; n < size * size; n++) {
      const colours = picture.subarray(3 * n, 3 * n + 3), object = colours.some(colour => colour < white);
      if (object) {
        const row = Math.floor(n / size), column = n % size;
        [left, right] = [Math.min(left, column), Math.max(right, column + 1)];
        [top, bottom] = [Math.min(top, row), Math.max(bottom, row + 1)];
      }
      const dark = 1 - luma.reduce((sum, weight, channel) => sum + weight * colours[channel], 0);
      const covered = object ? 1 : 0;
      ink.set(mask ? [dark, covered, (dark + covered) / 2] : colours.map(colour => 1 - colour), 3 * n);
    }
    if (left >= right) throw new Error("The picture is empty: there is no object on its ground.");
    if (!crop) return [this.normalised(ink), []];
    const side = margin * Math.max(right - left, bottom - top) / size;  // tpl.rendering.boxes.object_box
    const middle = [(left + right) / (2 * size) - 0.5, (top + bottom) / (2 * size) - 0.5];
    const seen = new Float32Array(ink.length);
    const at = (row, column, channel) =>
      row >= 0 && column >= 0 && row < size && column < size ? ink[3 * (row * size + column) + channel] : 0;
    for (let n = 0; n < size * size; n++) {
      const [x, y] = [n % size, Math.floor(n / size)].map((place, axis) =>
        (side * ((place + 0.5) / size - 0.5) + middle[axis] + 0.5) * size - 0.5);
      const column = Math.floor(x), row = Math.floor(y), across = x - column, down = y - row;
      for (let channel = 0; channel < 3; channel++) {
        seen[3 * n + channel] =
          (1 - down) * ((1 - across) * at(row, column, channel) + across * at(row, column + 1, channel))
          + down * ((1 - across) * at(row + 1, column, channel) + across * at(row + 1, column + 1, channel));
      }
    }
    return [this.normalised(seen), [4 * middle[0], 4 * middle[1], 2 * (side - 0.6)]];
  }

  normalised(ink) {  // in ImageNet's units
    const { size, mean, std } = this.packed;
    return { values: ink.map((value, n) => (1 - value - mean[n % 3]) / std[n % 3]), side: size, channels: 3 };
  }

  // A convolution as one product: each pixel's patch is a row.
  convolve(layer, map, relu = false) {
    const { size, stride, padding, columns, channels } = layer;
    const side = Math.floor((map.side + 2 * padding - size) / stride) + 1;
    const patches = this.patches.values;
    let to = 0;
    for (let row = 0; row < side; row++) {
      for (let column = 0; column < side; column++) {
        for (let down = 0; down < size; down++) {
          const y = row * stride + down - padding;
          for (let across = 0; across < size; across++, to += map.channels) {
            const x = column * stride + across - padding;
            const inside = x >= 0 && y >= 0 && x < map.side && y < map.side;
            const from = (y * map.side + x) * map.channels;
            for (let n = 0; n < map.channels; n++) patches[to + n] = inside ? map.values[from + n] : 0;
          }
        }
      }
    }
    const pixels = side * side;
    layer.apply(this.kernel, this.patches, layer.rows, this.answer, Math.ceil(pixels / 4) * 4, relu);
    const values = new Float32Array(pixels * channels);
    for (let n = 0; n < pixels; n++) {
      values.set(this.answer.values.subarray(n * columns, n * columns + channels), n * channels);
    }
    return { values, side, channels };
  }
}

function pooled({ values, side, channels }) {  // the largest of 3 x 3, at every second pixel
  const half = Math.floor((side - 1) / 2) + 1, largest = new Float32Array(half * half * channels).fill(-Infinity);
  for (let row = 0; row < half; row++) {
    for (let column = 0; column < half; column++) {
      for (let y = Math.max(0, 2 * row - 1); y <= Math.min(side - 1, 2 * row + 1); y++) {
        for (let x = Math.max(0, 2 * column - 1); x <= Math.min(side - 1, 2 * column + 1); x++) {
          for (let n = 0; n < channels; n++) {
            const to = (row * half + column) * channels + n;
            largest[to] = Math.max(largest[to], values[(y * side + x) * channels + n]);
          }
        }
      }
    }
  }
  return { values: largest, side: half, channels };
}

function averages({ values, side, channels }, pool) {  // over pool x pool parts, channel by channel
  const means = [];
  for (let n = 0; n < channels; n++) {
    for (let part = 0; part < pool * pool; part++) {
      const [rows, columns] = [Math.floor(part / pool), part % pool].map(place =>
        [Math.floor(place * side / pool), Math.ceil((place + 1) * side / pool)]);
      let sum = 0;
      for (let row = rows[0]; row < rows[1]; row++) {
        for (let column = columns[0]; column < columns[1]; column++) {
          sum += values[(row * side + column) * channels + n];
        }
      }
      means.push(sum / ((rows[1] - rows[0]) * (columns[1] - columns[0])));
    }
  }
  return means;
}

// tpl.geometry.marching._Grid: the nodes of the cube [-1, 1]^3, and what is known of a function there.
class Grid {
  constructor(resolution) {
    this.resolution = resolution;
    this.nodes = resolution + 1;
    this.spacing = 2 / resolution;
    this.volume = new Float32Array(this.nodes ** 3);  // a value, a settled sign (1 or -1), or 0: unsettled
    this.known = new Uint8Array(this.nodes ** 3);  // where it is a value
    this.asked = 0;
  }

  each(visit) {
    for (let x = 0, row = 0; x < this.nodes; x++) {
      for (let y = 0; y < this.nodes; y++) for (let z = 0; z < this.nodes; z++, row++) visit(row, x, y, z);
    }
  }

  ask(decoder, rows) {
    const { volume, known, spacing, nodes } = this, points = new Float32Array(3 * rows.length);
    rows.forEach((row, n) => {
      points[3 * n] = Math.floor(row / (nodes * nodes)) * spacing - 1;
      points[3 * n + 1] = Math.floor(row / nodes) % nodes * spacing - 1;
      points[3 * n + 2] = row % nodes * spacing - 1;
    });
    decoder.distances(points).forEach((value, n) => {
      // A surface through a node makes triangles without area: move it by a hundred thousandth of a cell.
      volume[rows[n]] = Math.abs(value) < 1e-5 * spacing ? -1e-5 * spacing : value;
      known[rows[n]] = 1;
    });
    this.asked += rows.length;
  }

  // Signs of the nodes that are some steps away, and less far than the values allow.
  settle(rows, steps, slope) {
    const { volume, nodes, resolution } = this;
    for (const row of rows) {
      const reach = Math.abs(volume[row]) / (slope * this.spacing), sign = Math.sign(volume[row]);
      const x = Math.floor(row / (nodes * nodes)), y = Math.floor(row / nodes) % nodes, z = row % nodes;
      for (let n = 0; n < steps.length && steps[n + 3] < reach; n += 4) {
        const i = x + steps[n], j = y + steps[n + 1], k = z + steps[n + 2];
        if (i < 0 || j < 0 || k < 0 || i > resolution || j > resolution || k > resolution) continue;
        const target = (i * nodes + j) * nodes + k;
        if (volume[target] === 0) volume[target] = sign;
      }
    }
  }

  unsettled(which = () => true) {
    const rows = [];
    this.each((row, x, y, z) => { if (this.volume[row] === 0 && which(x, y, z)) rows.push(row); });
    return rows;
  }
}

function stepsUpTo(margin, longest = Infinity) {  // x, y, z and length of each, the short ones first
  const steps = [];
  for (let x = -margin; x <= margin; x++) {
    for (let y = -margin; y <= margin; y++) {
      for (let z = -margin; z <= margin; z++) steps.push([x, y, z, Math.hypot(x, y, z)]);
    }
  }
  return steps.filter(step => step[3] <= longest).sort((one, other) => one[3] - other[3]).flat();
}

// tpl.geometry.marching._search: asks at as few nodes as settle the sign of all others. Two things are left out: what
// a coarser grid of half the resolution knew already, and, until a surface is followed there, all beyond the unit
// sphere, in which every shape lies.
function searched(decoder, resolution, coarse = null, slope = 1.05 * 1.5, truncation = 0.1) {
  const grid = new Grid(resolution), { nodes, volume, known } = grid;
  const square = Float64Array.from({ length: nodes }, (_, place) => (place * grid.spacing - 1) ** 2);
  grid.each((row, x, y, z) => { if (square[x] + square[y] + square[z] > (1 + grid.spacing) ** 2) volume[row] = 1; });
  if (coarse) {
    const brought = [];
    coarse.each((row, x, y, z) => {
      const here = (2 * x * nodes + 2 * y) * nodes + 2 * z;
      volume[here] = coarse.volume[row];
      known[here] = coarse.known[row];
      if (known[here]) brought.push(here);
    });
    grid.settle(brought, stepsUpTo(2), slope);
  }
  let margin = Math.min(Math.floor(0.95 * truncation / (slope * grid.spacing * Math.sqrt(3))),
    Math.floor((Math.floor(resolution / 4) - 1) / 2));
  for (; margin > 0; margin = Math.floor(margin / 2)) {
    const centre = place => place === resolution || place % (2 * margin + 1) === margin;
    const rows = grid.unsettled((x, y, z) => centre(x) && centre(y) && centre(z));
    grid.ask(decoder, rows);
    grid.settle(rows, stepsUpTo(margin), slope);
  }
  // Every second node, as on a chessboard, settles some of those beside it; what is left is asked.
  const even = grid.unsettled((x, y, z) => (x + y + z) % 2 === 0);
  grid.ask(decoder, even);
  grid.settle(even, stepsUpTo(1, 1), slope);
  grid.ask(decoder, grid.unsettled());
  // A surface that runs into nodes which seemed to be far from it is followed.
  for (;;) {
    const missing = cornersOfCrossedCells(grid).filter(row => !known[row]);
    if (!missing.length) return grid;
    grid.ask(decoder, missing);
  }
}

function cornersOfCrossedCells({ volume, nodes, resolution }) {
  const offsets = [];
  for (let n = 0; n < 8; n++) offsets.push(((n >> 2) * nodes + (n >> 1 & 1)) * nodes + (n & 1));
  const marked = new Uint8Array(volume.length);
  for (let x = 0; x < resolution; x++) {
    for (let y = 0; y < resolution; y++) {
      for (let z = 0, row = (x * nodes + y) * nodes; z < resolution; z++, row++) {
        let inside = 0;
        for (const offset of offsets) inside += volume[row + offset] <= 0 ? 1 : 0;
        if (inside && inside < 8) for (const offset of offsets) marked[row + offset] = 1;
      }
    }
  }
  const rows = [];
  marked.forEach((mark, row) => { if (mark) rows.push(row); });
  return rows;
}

// Marching cubes (Lorensen and Cline 1987). A cell's corners and edges are counted as scikit-image's table of triangles
// counts them; `triangles` is that table, 16 numbers for each of the 256 signs, with -1 after the last edge.
const CORNERS = [[0, 0, 0], [0, 0, 1], [0, 1, 1], [0, 1, 0], [1, 0, 0], [1, 0, 1], [1, 1, 1], [1, 1, 0]];
const EDGES = [[0, 1], [1, 2], [2, 3], [3, 0], [4, 5], [5, 6], [6, 7], [7, 4], [0, 4], [1, 5], [2, 6], [3, 7]];

const FARTHEST = 1 / 1.03;  // from the origin: there the sphere where all shapes lie closes what would go on beyond it

function polygonised(grid, triangles) {
  // A shell of outside, a thousand times the value beneath it, closes what the volume cuts.
  const nodes = grid.nodes + 2, last = nodes - 1, volume = new Float32Array(nodes ** 3);
  const inner = Int32Array.from({ length: nodes }, (_, place) => Math.min(grid.nodes - 1, Math.max(0, place - 1)));
  const square = Float64Array.from(inner, place => (place * grid.spacing - 1) ** 2);
  for (let x = 0, row = 0; x < nodes; x++) {
    for (let y = 0; y < nodes; y++) {
      const beyond = x === 0 || y === 0 || x === last || y === last;
      for (let z = 0; z < nodes; z++, row++) {
        const told = grid.volume[(inner[x] * grid.nodes + inner[y]) * grid.nodes + inner[z]];
        const value = Math.max(told, Math.sqrt(square[x] + square[y] + square[z]) - FARTHEST);
        volume[row] = beyond || z === 0 || z === last ? 1000 * Math.abs(value) : value;
      }
    }
  }
  const offsets = CORNERS.map(([x, y, z]) => (x * nodes + y) * nodes + z);
  const axes = EDGES.map(([from, to]) => CORNERS[from].findIndex((place, axis) => place !== CORNERS[to][axis]));
  const lower = EDGES.map(([from, to]) => Math.min(offsets[from], offsets[to]));
  const across = [nodes * nodes, nodes, 1];
  const numbers = new Map(), vertices = [], faces = [];  // an edge's number, by its lower node and its axis
  const vertex = (row, axis) => {
    const key = 3 * row + axis;
    let number = numbers.get(key);
    if (number === undefined) {
      number = vertices.length / 3;
      numbers.set(key, number);
      const place = [Math.floor(row / across[0]), Math.floor(row / nodes) % nodes, row % nodes];
      place[axis] += volume[row] / (volume[row] - volume[row + across[axis]]);
      vertices.push(...place.map(along => (along - 1) * grid.spacing - 1));
    }
    return number;
  };
  for (let x = 0; x < nodes - 1; x++) {
    for (let y = 0; y < nodes - 1; y++) {
      for (let z = 0, row = (x * nodes + y) * nodes; z < nodes - 1; z++, row++) {
        let signs = 0;
        for (let n = 0; n < 8; n++) if (volume[row + offsets[n]] > 0) signs |= 1 << n;
        if (signs === 0 || signs === 255) continue;
        for (let n = 16 * signs; triangles[n] >= 0; n += 3) {
          for (const edge of [triangles[n], triangles[n + 2], triangles[n + 1]]) {  // so that faces look outwards
            faces.push(vertex(row + lower[edge], axes[edge]));
          }
        }
      }
    }
  }
  return { vertices: Float32Array.from(vertices), faces: Uint32Array.from(faces) };
}

// tpl.look.position_colors: the colour of a place on the template, by CIELAB, as bytes of red, green, blue.
function positionColours(places) {
  const colours = new Uint8Array(places.length), clip = value => Math.min(1, Math.max(-1, value));
  const cube = value => value > 6 / 29 ? value ** 3 : 3 * (6 / 29) ** 2 * (value - 4 / 29);
  const gamma = value => value <= 0.0031308 ? 12.92 * value : 1.055 * value ** (1 / 2.4) - 0.055;
  for (let n = 0; n < places.length; n += 3) {
    const [a, lightness, b] = [36 * clip(places[n]), 66 + 15 * clip(places[n + 1]), 36 * clip(places[n + 2])];
    const f = (lightness + 16) / 116;
    const [x, y, z] = [0.95047 * cube(f + a / 500), cube(f), 1.08883 * cube(f - b / 200)];
    [3.24048134 * x - 1.53715152 * y - 0.49853633 * z, -0.96925495 * x + 1.87599 * y + 0.04155593 * z,
      0.05564664 * x - 0.20404134 * y + 1.05731107 * z].forEach((value, channel) => {
      colours[n + channel] = Math.round(255 * Math.min(1, Math.max(0, gamma(value))));
    });
  }
  return colours;
}

// What a worker is asked: { kernel } once, { load } of a category's networks, { picture } for its code, { code, step }
// for its meshes, one for each resolution, each with twice the cells of the one before.
class Reconstruction {
  constructor(kernel, triangles) {
    this.module = new WebAssembly.Module(kernel);
    this.triangles = triangles;
  }

  load({ encoder, decoder }) {
    const kernel = () => new WebAssembly.Instance(this.module).exports;
    this.encoder = new Encoder(kernel(), encoder);
    this.decoder = new Decoder(kernel(), decoder);
  }

  *meshes(code, step, resolutions) {
    this.decoder.shape(code, step);
    let grid = null;
    for (const resolution of resolutions) {
      grid = searched(this.decoder, resolution, grid);
      const mesh = polygonised(grid, this.triangles);
      yield { ...mesh, resolution, asked: grid.asked, colours: positionColours(this.decoder.places(mesh.vertices)) };
    }
  }
}
