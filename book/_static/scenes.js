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
  for (const scene of document.querySelectorAll(".tpl-asked")) {  // much to load: not before somebody asks for it
    const ask = document.createElement("button");
    ask.textContent = `Make a mesh in this page (reads ${scene.dataset.megabytes} MB)`;
    ask.addEventListener("click", () => {
      scene.classList.add("tpl-running");
      draw(scene);
      scene.querySelector("iframe").focus();
      ask.remove();
    });
    scene.append(ask);
  }
  for (const scene of document.querySelectorAll(".tpl-scene:not(.tpl-asked)")) {
    near.observe(scene);
    far.observe(scene);
  }
});
