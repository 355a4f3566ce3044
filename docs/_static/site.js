// A formula that is wider than the window shrinks with it, but stays legible: below two thirds of its size it scrolls.
window.addEventListener("load", async () => {
  if (!window.MathJax || !MathJax.startup) return;
  await MathJax.startup.promise;
  for (const svg of document.querySelectorAll('mjx-container[display="true"] > svg')) {
    svg.style.minWidth = `calc(${svg.getAttribute("width")} * 0.66)`;
  }
});
