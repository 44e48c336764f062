// What all pages with k3d plots share: how their plots are turned, together, by pointer and by keys.
"use strict";

// Within a chapter wheel and finger scroll the page, until the reader asks to turn what is in `panels`.
function letScroll(panels) {
  if (window === window.top) return;
  const hold = held => document.body.classList.toggle("held", held);
  hold(true);
  panels.addEventListener("click", () => {
    hold(false);
    panels.focus({ preventScroll: true });  // the button that asked is gone now: keys go on working
  });
  window.addEventListener("blur", () => hold(true));
}

// One plot turns the others; their echo turns nobody.
function turnTogether(plots) {
  let turning = false;
  for (const plot of plots) {
    plot.on(plot.events.CAMERA_CHANGE, camera => {
      if (turning) return;
      turning = true;
      for (const other of plots) if (other !== plot) { other.setCamera(camera); other.render(); }
      turning = false;
    });
  }
}

// Arrows turn, + and - come nearer and go away, Home goes back to where the plots opened.
function turnByKeys(panels, plots) {
  const TURN = Math.PI / 18, NEARER = 0.9;
  const view = () => {
    const { camera, controls } = plots[0].getWorld(), target = controls.target.toArray();
    const [x, y, z] = camera.position.toArray().map((place, axis) => place - target[axis]);
    const distance = Math.hypot(x, y, z);
    return { target, distance, around: Math.atan2(x, z), height: Math.asin(y / distance) };
  };
  const home = view();
  const steps = {
    ArrowLeft: now => ({ around: now.around - TURN }),
    ArrowRight: now => ({ around: now.around + TURN }),
    ArrowUp: now => ({ height: Math.min(1.5, now.height + TURN) }),  // never straight from above, where left is right
    ArrowDown: now => ({ height: Math.max(-1.5, now.height - TURN) }),
    "+": now => ({ distance: now.distance * NEARER }),
    "-": now => ({ distance: now.distance / NEARER }),
    Home: () => home,
  };
  steps["="] = steps["+"];  // the same key without shift
  panels.addEventListener("keydown", event => {
    if (event.target !== panels || !(event.key in steps) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const now = view(), { target, distance, around, height } = { ...now, ...steps[event.key](now) };
    const flat = distance * Math.cos(height);
    const offset = [flat * Math.sin(around), distance * Math.sin(height), flat * Math.cos(around)];
    for (const plot of plots) {
      plot.setCamera([...target.map((place, axis) => place + offset[axis]), ...target, 0, 1, 0]);
      plot.render();
    }
  });
}
