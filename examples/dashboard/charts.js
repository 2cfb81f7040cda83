// Charts as inline SVG. Nodes that are there stay and are changed in place, so nothing flickers;
// texts only ever go in as text.

const SVG = "http://www.w3.org/2000/svg";

/** Sets a text, if it is another: what a reader has selected stays selected. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function setAttributes(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
  }
}

/** Makes the children of a node match a list: `make` makes one, `update` changes it. */
export function match(parent, items, make, update) {
  while (parent.children.length > items.length) parent.lastElementChild.remove();
  items.forEach((item, i) => update(parent.children[i] ?? parent.appendChild(make()), item, i));
}

export function svg(name, className) {
  const node = document.createElementNS(SVG, name);
  if (className) node.setAttribute("class", className);
  return node;
}

/** The parts of a chart, one over the other. */
const LAYERS = ["grid", "marks", "second", "labels", "hits"];

const MARGIN = { left: 50, right: 6, top: 10, bottom: 22 };

/** The least round number that the values stay under; whole numbers have a whole half. */
function ceiling(values, { whole, base = 10 }) {
  const most = Math.max(...values, 0);
  if (most === 0) return whole ? 4 : 1;
  const unit = base === 10 ? 1 : base ** Math.floor(Math.log(most) / Math.log(base));
  const power = unit * 10 ** Math.floor(Math.log10(most / unit));
  const steps = whole && power <= 1 ? [4, 6, 8, 10] : [1, 2, 3, 4, 5, 6, 8, 10];
  return steps.map((step) => step * power).find((round) => round >= most * 0.999);
}

/**
 * Draws points `{ label, value, second }` as columns, or as a line. `second` is a part of the value
 * and is drawn over the foot of its column. `tell(point)` is what the chart's <output> says while
 * one points at it, `sum` what it says otherwise; `scale` is what is known of the values.
 */
export function draw(chart, { points, kind, tick, tell, sum, scale = {} }) {
  const layers = LAYERS.map((name) => {
    return chart.querySelector(`.${name}`) ?? chart.appendChild(svg("g", name));
  });
  const [grid, marks, second, labels, hits] = layers;
  const width = chart.clientWidth || 400;
  const height = chart.clientHeight || 180;
  const top = ceiling(points.map((point) => point.value), scale);
  const step = (width - MARGIN.left - MARGIN.right) / Math.max(points.length, 1);
  const foot = height - MARGIN.bottom;
  const left = (i) => MARGIN.left + i * step;
  const y = (value) => foot - (value / top) * (foot - MARGIN.top);
  setAttributes(chart, { viewBox: `0 0 ${width} ${height}`, role: "img" });

  const lines = [0, 0.5, 1].map((part) => ({ at: y(part * top), text: tick(part * top) }));
  match(grid, lines, () => svg("line"), (line, { at }) => {
    setAttributes(line, { x1: MARGIN.left, x2: width - MARGIN.right, y1: at, y2: at });
  });

  if (kind === "line") {
    drawLine(marks, points.map((point, i) => [left(i) + step / 2, y(point.value)]), foot);
  } else {
    const gap = Math.min(step * 0.25, 8);
    const column = (part) => (rect, point, i) => {
      const tall = foot - y(part(point));
      // Whatever happened at all is to be seen.
      const seen = part(point) > 0 ? Math.max(tall, 1.5) : 0;
      const box = { x: left(i) + gap / 2, y: foot - seen, width: step - gap, height: seen };
      setAttributes(rect, { ...box, rx: Math.min(2, seen) });
    };
    match(marks, points, () => svg("rect"), column((point) => point.value));
    match(second, points, () => svg("rect"), column((point) => point.second ?? 0));
  }

  match(labels, [...lines, ...below(points, left, step, width)], () => svg("text"), (text, label) => {
    const upright = "x" in label;
    setText(text, label.text);
    setAttributes(text, {
      x: upright ? label.x : MARGIN.left - 8,
      y: upright ? height - 6 : label.at + 4,
      "text-anchor": upright ? label.anchor : "end",
    });
  });

  const output = chart.parentNode.querySelector("output");
  const say = () => setText(output, chart.pointed ? tell(chart.pointed) : sum);
  match(hits, points, () => svg("rect"), (rect, point, i) => {
    setAttributes(rect, { x: left(i), y: 0, width: step, height });
    // One points at a place, whatever is drawn there meanwhile.
    if (chart.place === i) chart.pointed = point;
    rect.onpointerenter = () => {
      [chart.place, chart.pointed] = [i, point];
      say();
    };
  });
  chart.onpointerleave = () => {
    chart.place = chart.pointed = undefined;
    say();
  };
  say();
  setAttributes(chart, { "aria-label": sum });
}

function drawLine(layer, places, foot) {
  const path = places.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
  const [first, last] = [places[0], places.at(-1)];
  const area = places.length ? `${path}L${last[0]} ${foot}L${first[0]} ${foot}Z` : "";
  const shapes = [{ class: "area", d: area }, { class: "line", d: path }];
  match(layer, shapes, () => svg("path"), setAttributes);
}

/** Labels below some of the points, as many as have room; the last one is always there. */
function below(points, left, step, width) {
  if (points.length === 0) return [];
  const every = Math.max(1, Math.ceil(58 / step));
  const last = points.length - 1;
  return points.flatMap((point, i) => {
    if ((last - i) % every !== 0) return [];
    const x = left(i) + step / 2;
    const near = x > width - 24;
    return [{ x: near ? width - MARGIN.right : x, anchor: near ? "end" : "middle", text: point.label }];
  });
}

/** A row of a list of bars: a name, perhaps a link, a bar whose parts are drawn in a row, and texts. */
export function bar(row, { name, href, parts, most, texts }) {
  if (!row.firstChild) {
    const label = row.appendChild(document.createElement(href ? "a" : "span"));
    label.className = "name";
    row.appendChild(svg("svg", "bar"));
    row.appendChild(document.createElement("span")).className = "amounts";
  }
  const [label, drawing, amounts] = row.children;
  setText(label, name);
  if (href) setAttributes(label, { href });
  match(amounts, texts, () => document.createElement("span"), setText);
  let from = 0;
  match(drawing, parts, () => svg("rect"), (rect, part) => {
    const share = most > 0 ? (100 * part) / most : 0;
    setAttributes(rect, { x: `${from}%`, width: `${share}%`, height: "100%" });
    from += share;
  });
}
