// A keyboard scrolls what is wider than its place. A figure of many columns shrinks to stamps on a phone: there it keeps a width at which it can be seen, and scrolls
// within its place. Pictures that are small by themselves stay as they are.
document.addEventListener("DOMContentLoaded", () => {
  const WIDE = 900, KEPT = "620px"; // pixels of a picture that is wide, and the least that it is shown at
  if (!matchMedia("(max-width: 600px)").matches) return;
  const look = image => {
    const area = image.closest("figure, .cell_output");
    if (image.naturalWidth < WIDE || image.closest(".tpl-scene") || !area) return;
    image.style.minWidth = KEPT;
    area.style.overflowX = "auto";
    area.tabIndex = 0; // a keyboard scrolls it
    area.setAttribute("role", "region");
    area.setAttribute("aria-label", "a wide figure");
  };
  for (const image of document.querySelectorAll(".bd-article img")) {
    if (image.complete) look(image);
    else image.addEventListener("load", () => look(image));
  }
});
// An equation is set after the page is there; one that is too wide scrolls within its place.
addEventListener("load", async () => {
  await window.MathJax?.startup?.promise;
  for (const equation of document.querySelectorAll("mjx-container[display=true]")) {
    if (equation.scrollWidth > equation.clientWidth) equation.tabIndex = 0;
  }
});
