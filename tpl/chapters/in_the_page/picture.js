// A picture from anywhere to what the encoder is used to see: the object alone, on white, framed as the training views
// are. The same as tpl.photos, but for GrabCut: a ground that is neither transparent nor plain is refused.
// A picture is { values, width, height }: red, green, blue, alpha, 0 to 255.
"use strict";

const PLAIN = 12;  // grey levels by which a plain ground may differ from its own plane of colour
const MARGIN = 0.04;  // share of the sides that is taken for ground
const HARD = 128;  // where a soft mask counts as object

function framed(picture, size, share) {  // size x size pixels of red, green, blue, 0 to 255
  const cut = cutOut(picture), { values, width, height } = cut;
  let left = width, right = 0, top = height, bottom = 0, area = 0;
  for (let n = 0; n < width * height; n++) {
    if (values[4 * n + 3] < HARD) continue;
    const row = Math.floor(n / width), column = n % width;
    [left, right] = [Math.min(left, column), Math.max(right, column + 1)];
    [top, bottom] = [Math.min(top, row), Math.max(bottom, row + 1)];
    area++;
  }
  if (area < 16) throw new Error("No object was found: its ground must be transparent, or of one colour.");
  if (area > 0.98 * width * height) throw new Error("All of the picture is object: leave some ground around it.");
  const side = Math.hypot(right - left, bottom - top) / share;
  const corner = [(left + right - side) / 2, (top + bottom - side) / 2];
  const rows = weights(size, side, corner[1], top, bottom), columns = weights(size, side, corner[0], left, right);
  const answer = new Uint8Array(3 * size * size).fill(255);
  const narrow = new Float32Array(3 * size * (bottom - top));  // 255 less than white: nothing, where it is white
  for (let row = top; row < bottom; row++) {
    columns.forEach(([first, parts], column) => {
      parts.forEach((part, n) => {
        const from = 4 * (row * width + first + n);
        for (let channel = 0; channel < 3; channel++) {
          const ink = Math.round((255 - values[from + channel]) * values[from + 3] / 255);
          narrow[3 * ((row - top) * size + column) + channel] += part * ink;
        }
      });
    });
  }
  rows.forEach(([first, parts], row) => {
    for (let n = 0; n < 3 * size; n++) {
      const ink = parts.reduce((sum, part, down) => sum + part * narrow[3 * size * (first + down - top) + n], 0);
      answer[3 * size * row + n] = Math.round(255 - Math.min(255, Math.max(0, ink)));
    }
  });
  return answer;
}

// For each pixel of a row the first place that it sees, and the weights of that and those after it, by Hamming's
// window as Pillow has it; places before `low` or from `high` on are white and left out.
function weights(size, side, start, low, high) {
  const scale = side / size, reach = Math.max(1, scale);
  return Array.from({ length: size }, (_, pixel) => {
    const centre = start + (pixel + 0.5) * scale;
    const first = Math.floor(centre - reach + 0.5), last = Math.floor(centre + reach + 0.5);
    const window = Array.from({ length: Math.max(0, last - first) }, (_, n) => {
      const x = Math.abs((first + n + 0.5 - centre) / reach);
      if (x >= 1) return 0;
      return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x) * (0.54 + 0.46 * Math.cos(Math.PI * x));
    });
    const sum = window.reduce((total, weight) => total + weight, 0);
    const from = Math.max(first, low), until = Math.max(from, Math.min(last, high));
    return [from, window.slice(from - first, until - first).map(weight => weight / sum)];
  });
}

function cutOut(picture) {
  const { values, width, height } = picture;
  let clear = 0;
  for (let n = 3; n < values.length; n += 4) clear += values[n] < HARD ? 1 : 0;
  if (clear > 0.01 * width * height) return picture;
  const ground = planeOfColour(picture);
  const difference = new Float32Array(width * height);
  for (let n = 0; n < difference.length; n++) {
    const colours = ground(n);
    for (let channel = 0; channel < 3; channel++) {
      difference[n] = Math.max(difference[n], Math.abs(values[4 * n + channel] - colours[channel]));
    }
  }
  // A pixel of the border mixes object and ground: its share is its difference over the largest one beside it, and
  // with that share the ground is subtracted again.
  const own = Uint8ClampedArray.from(values);
  for (let n = 0; n < difference.length; n++) {
    const row = Math.floor(n / width), column = n % width;
    let share = difference[n] > PLAIN ? 1 : 0, least = Infinity, most = 0;
    for (let y = Math.max(0, row - 1); share && y <= Math.min(height - 1, row + 1); y++) {
      for (let x = Math.max(0, column - 1); x <= Math.min(width - 1, column + 1); x++) {
        least = Math.min(least, difference[y * width + x]);
        most = Math.max(most, difference[y * width + x]);
      }
    }
    if (share && least <= PLAIN) {
      share = difference[n] / most;
      ground(n).forEach((colour, channel) => {
        own[4 * n + channel] = (values[4 * n + channel] - (1 - share) * colour) / share;
      });
    }
    own[4 * n + 3] = 255 * share;
  }
  return { values: own, width, height };
}

// The plane of colour that fits the pixels of the margin: a function from a pixel's number to red, green, blue.
function planeOfColour({ values, width, height }) {
  const place = n => [1, n % width / width - 0.5, Math.floor(n / width) / height - 0.5];
  const across = Math.max(1, Math.round(MARGIN * width)), down = Math.max(1, Math.round(MARGIN * height));
  const margin = [];
  for (let n = 0; n < width * height; n++) {
    const row = Math.floor(n / width), column = n % width;
    if (column < across || column >= width - across || row < down || row >= height - down) margin.push(n);
  }
  // The object may reach into the margin, so the fit begins from the middle colour and drops what is unlike it.
  const middle = [0, 1, 2].map(channel =>
    margin.map(n => values[4 * n + channel]).sort((one, other) => one - other)[margin.length >> 1]);
  let plane = middle.map(colour => [colour, 0, 0]), kept = margin;
  const off = n => Math.max(...plane.map((weights, channel) =>
    Math.abs(values[4 * n + channel] - dot(weights, place(n)))));
  for (let round = 0; round < 4; round++) {
    kept = margin.filter(n => off(n) < (round ? PLAIN : 4 * PLAIN));
    if (kept.length < (round < 3 ? 0.5 : 0.85) * margin.length) {
      throw new Error("Its ground is neither transparent nor of one colour: cut the object out first.");
    }
    if (round < 3) plane = plane.map((_, channel) => fitted(kept.map(n => [place(n), values[4 * n + channel]])));
  }
  return n => plane.map(weights => dot(weights, place(n)));
}

function dot(one, other) {
  return one.reduce((sum, value, n) => sum + value * other[n], 0);
}

// Least squares in three unknowns, by Cramer's rule.
function fitted(samples) {
  const sums = [0, 1, 2].map(i => [0, 1, 2].map(j => samples.reduce((sum, [place]) => sum + place[i] * place[j], 0)));
  const right = [0, 1, 2].map(i => samples.reduce((sum, [place, value]) => sum + place[i] * value, 0));
  const determinant = ([[a, b, c], [d, e, f], [g, h, i]]) =>
    a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g);
  const whole = determinant(sums);
  return [0, 1, 2].map(n =>
    determinant(sums.map((row, i) => row.map((value, j) => j === n ? right[i] : value))) / whole);
}
