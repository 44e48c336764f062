// A scene's meshes from the small numbers that the site keeps of them (tpl/book/packing.py): what k3d reads.
"use strict";

const through = (data, stream) => new Response(new Blob([data]).stream().pipeThrough(stream)).arrayBuffer();

async function unpacked(data) {
  const packed = await through(data, new DecompressionStream("deflate"));
  const told = new DataView(packed).getUint32(0, true);
  const { size, grid, arrays } = JSON.parse(new TextDecoder().decode(new Uint8Array(packed, 4, told)));
  const snapshot = packed.slice(4 + told, 4 + told + size), view = new DataView(snapshot);
  let place = 4 + told + size;
  for (const { name, at, count } of arrays) {
    const bytes = new Uint8Array(packed, place, 2 * count);
    const codes = Uint32Array.from({ length: count }, (_, number) => bytes[number] + 256 * bytes[count + number]);
    place += 2 * count;
    if (name === "indices") {
      let named = 0;  // vertices of faces before
      codes.forEach((code, corner) => view.setUint32(at + 4 * corner, code ? named - code : named++, true));
      continue;
    }
    const rows = count / 3, column = axis => {
      let sum = 0;
      return Array.from(codes.subarray(axis * rows, (axis + 1) * rows), code => sum += code & 1 ? -(code + 1) / 2 : code / 2);
    };
    const [x, y, z] = [0, 1, 2].map(column);
    for (let row = 0; row < rows; row++) {
      if (name === "colors") view.setUint32(at + 4 * row, x[row] * 65536 + y[row] * 256 + z[row], true);
      else [x, y, z].forEach((axis, number) => view.setFloat32(at + 12 * row + 4 * number, axis[row] * grid, true));
    }
  }
  return through(snapshot, new CompressionStream("deflate"));
}
