// What the worker answers: each question is an object with its `ask`, each answer names the question's `number`.
"use strict";

let reconstruction = null;

const answers = {
  *start({ kernel, triangles }) {
    reconstruction = new Reconstruction(decoded(kernel), new Int8Array(decoded(triangles).buffer));
    yield {};
  },
  *load({ networks }) {
    reconstruction.load(networks);
    yield {};
  },
  *frame({ picture, share }) {
    yield { seen: framed(picture, reconstruction.encoder.packed.size, share) };
  },
  *encode({ seen }) {
    yield { code: reconstruction.encoder.code(Float32Array.from(seen, value => value / 255)) };
  },
  *mesh({ code, step, resolutions }) {
    yield* reconstruction.meshes(code, step, resolutions);
  },
};

onmessage = ({ data }) => {
  try {
    for (const answer of answers[data.ask](data)) postMessage({ number: data.number, ...answer });
    postMessage({ number: data.number, done: true });
  } catch (error) {
    postMessage({ number: data.number, done: true, error: error.message });
  }
};
