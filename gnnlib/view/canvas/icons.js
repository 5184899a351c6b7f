// The drawings on the buttons of the canvas: strokes in a square of 16.

const STROKES = {
  reset: "M3 8a5 5 0 1 0 1.7-3.8M3 2.6v2.9h2.9",
  fit: "M2.5 5.5v-3h3M10.5 2.5h3v3M13.5 10.5v3h-3M5.5 13.5h-3v-3M6.2 8h3.6M8 6.2v3.6",
  parallel: "M2.5 5.5h8v8h-8zM5.5 5.5v-3h8v8h-3M10.5 5.5l3-3",
  spin: "M2 8c0-1.7 2.7-3 6-3s6 1.3 6 3-2.7 3-6 3M9.8 9l-2 2 2 2M8 2v1.4M8 12.6V14",
  box: "M2.5 3.5h11v9h-11z",
  lasso: "M8 3c3.3 0 6 1.6 6 3.7s-2.7 3.7-6 3.7-6-1.6-6-3.7S4.7 3 8 3zM4.4 9.6c-1.3.9-.9 2.7.7 2.6 1.3 0 1.3-1.7.2-1.9M5 12.2l-.8 2",
  picture: "M2 5h3l1.2-1.8h3.6L11 5h3v8H2zM8 11.2a2.4 2.4 0 1 0 0-4.8 2.4 2.4 0 0 0 0 4.8z",
  help: "M6 6.2c0-2.7 4.2-2.5 4.2 0 0 1.7-2.2 1.7-2.2 3.5M8 12v.8",
};
const DASHED = new Set(["box"]);

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  if (name.length === 1) {
    const text = document.createElementNS(svg.namespaceURI, "text");
    for (const [key, value] of Object.entries({ x: 8, y: 12, "text-anchor": "middle", class: "letter" }))
      text.setAttribute(key, value);
    text.textContent = name;
    svg.append(text);
    return svg;
  }
  const path = document.createElementNS(svg.namespaceURI, "path");
  path.setAttribute("d", STROKES[name]);
  if (DASHED.has(name)) path.setAttribute("stroke-dasharray", "2.4 1.8");
  svg.append(path);
  return svg;
}
