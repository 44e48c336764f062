// A scene is a poster that links to its page. In a browser with scripts the page is laid over the poster when it comes
// into view, and taken away when it is far off: a browser draws only a few of them at a time.
document.addEventListener("DOMContentLoaded", () => {
  const draw = scene => {
    if (scene.querySelector("iframe")) return;
    const link = scene.querySelector("a");
    const frame = document.createElement("iframe");
    frame.src = link.href;
    frame.title = link.querySelector("img").alt;
    frame.loading = "lazy";
    scene.append(frame);
  };
  const clear = scene => scene.querySelector("iframe")?.remove();
  const watch = (reach, arrived, left) => new IntersectionObserver(entries => {
    for (const entry of entries) (entry.isIntersecting ? arrived : left)(entry.target);
  }, { rootMargin: reach });
  const near = watch("100px", draw, () => {}), far = watch("1500px", () => {}, clear);
  for (const scene of document.querySelectorAll(".tpl-scene")) {
    near.observe(scene);
    far.observe(scene);
  }
});
