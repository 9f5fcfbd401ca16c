// The ancestry of a winner: a graph of marks that can be clicked or walked with the arrow keys, and the facts of one.

const SVG = "http://www.w3.org/2000/svg";
const ROW = 26;
const LEFT = 40;

function s(tag, attributes = {}) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

function ancestry(app) {
  const says = h("p", { class: "gpx-says" });
  const scale = h("p", { class: "gpx-scale" });
  const scroll = h("div", { class: "gpx-graph gpx-scroll" });
  const facts = h("div", { class: "gpx-person", "aria-live": "polite" });
  const code = h("div");
  const body = h("div", { class: "gpx-ancestry" }, says, scale, h("div", { class: "gpx-two" }, scroll, facts), code);
  let drawn = {};

  const go = ([g, l]) => app.set({ individual: [g, l] });

  function draw() {
    const graph = app.get("ancestry");
    if (graph.error || !graph.nodes) {
      fill(says, graph.error ? problem(graph.error) : "");
      fill(scale);
      fill(scroll);
      fill(code);
      scroll.hidden = true;
      drawn = {};
      return;
    }
    scroll.hidden = false;
    says.textContent = graph.says;
    const [least, most] = graph.range;
    fill(scale, "total error ", h("b", {}, number(least)), h("i", { class: "gpx-ramp", "aria-hidden": "true" }), h("b", {}, number(most)),
      " · squares are roots: they have no parents");
    fill(code, codeBlock(graph.code, "Code of this view", true));
    const fresh = drawn.run !== graph.run;
    drawn = picture(graph, go);
    scroll.replaceChildren(drawn.svg);
    if (fresh) requestAnimationFrame(() => { scroll.scrollTop = scroll.scrollHeight; show(true); });
    else show(false);
  }

  // Mark the individual whose facts are shown, its parents and its children.
  function show(centre) {
    const person = app.get("person");
    if (!drawn.svg || person.error || person.generation === undefined) return;
    drawn.mark(`${person.generation}.${person.location}`);
    const mark = drawn.marks.get(`${person.generation}.${person.location}`);
    if (mark && centre) mark.scrollIntoView({ block: "nearest", inline: "center" });
  }

  function drawPerson() {
    const person = app.get("person");
    if (person.error || person.generation === undefined) {
      fill(facts, person.error && !app.get("ancestry").error ? problem(person.error) : "");
      return;
    }
    const names = { total_error: "total error", genome_size: "genes", program_size: "program size", genetic_operators: "operators",
      is_random_replacement: "random replacement" };
    const rows = Object.entries(person.facts).flatMap(([name, value]) => [h("dt", {}, names[name] ?? name),
      h("dd", {}, Array.isArray(value) ? value.join(", ") || "none" : typeof value === "number" ? number(value) : String(value))]);
    const cells = person.errors.map((error, index) => h("span", { class: error === 0 ? "gpx-zero" : null,
      title: `case ${index}: ${number(error)}` }, number(error)));
    const more = person.cases > person.errors.length ? ` (the first ${person.errors.length} shown)` : "";
    const solved = person.errors.filter((error) => error === 0).length;
    fill(facts,
      h("h3", {}, `Generation ${person.generation}, location ${person.location}`, person.winner ? h("span", { class: "gpx-badge" }, "winner") : null),
      h("dl", {}, rows),
      relatives("Parents", person.parents, "none recorded"),
      relatives("Children among the ancestors", person.children, "none"),
      person.program === null ? h("p", { class: "gpx-quiet" }, "No program was recorded.")
        : [h("h4", {}, person.is_genome ? "Genome" : "Program"), h("pre", { class: "gpx-program", tabindex: "0", "aria-label": "Program" }, person.program + (person.cut ? " …" : ""))],
      person.cases ? [h("h4", {}, `Errors on ${several(person.cases, "case")}, ${solved} of them 0${more}`), h("div", { class: "gpx-errors" }, cells)] : null,
      codeBlock(person.code, "Code of this individual", false));
    show(true);
  }

  function relatives(title, people, none) {
    return h("p", { class: "gpx-relatives" }, h("b", {}, `${title}: `), people.length ? people.map((each) => each.at
      ? h("button", { type: "button", class: "gpx-link", "data-key": `${title} ${each.at}`, onclick: () => go(each.at) },
        `${each.at[0]}.${each.at[1]}`, h("span", { class: "gpx-quiet" }, ` error ${number(each.error)}${each.times > 1 ? `, ${each.times} times` : ""}`))
      : h("span", { class: "gpx-quiet", title: each.uuid }, `${String(each.uuid).slice(0, 8)} (not recorded) `)) : h("span", { class: "gpx-quiet" }, none));
  }

  app.on(["ancestry"], draw);
  app.on(["person"], drawPerson);
  return body;
}

// Draw the graph; generations downwards, the newest at the bottom, where the winner is.
function picture({ nodes, edges, run }, go) {
  const rows = [...new Set(nodes.map((node) => node.g))].sort((a, b) => a - b);
  const at = new Map(rows.map((g, index) => [g, (index + 0.7) * ROW]));
  const [low, high] = nodes.reduce(([a, b], { x }) => [Math.min(a, x), Math.max(b, x)], [Infinity, -Infinity]);
  const wide = high - low;
  const step = Math.max(9, Math.min(26, 420 / (wide + 1)));
  const width = Math.max(LEFT + (wide + 2) * step, 260);
  const place = nodes.map((node) => [LEFT + (width - LEFT) / 2 + (node.x - (low + high) / 2) * step, at.get(node.g)]);
  const keys = nodes.map((node) => `${node.g}.${node.l}`);
  const height = (rows.length + 0.4) * ROW;
  const svg = s("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "group",
    "aria-label": `Ancestry of run ${run}: ${nodes.length} individuals. Arrow keys walk, Enter shows.` });
  const every = Math.ceil(rows.length / 40);
  rows.forEach((g, index) => {
    svg.append(s("line", { x1: LEFT - 8, x2: width, y1: at.get(g), y2: at.get(g), class: "gpx-row-line" }));
    if (index % every) return;
    const text = s("text", { x: LEFT - 12, y: at.get(g) + 4, class: "gpx-row-name" });
    text.textContent = g;
    svg.append(text);
  });
  const line = ([from, to]) => `M${place[from][0].toFixed(1)} ${place[from][1]}L${place[to][0].toFixed(1)} ${place[to][1]}`;
  svg.append(s("path", { d: edges.map(line).join(""), class: "gpx-edges", style: `opacity:${edges.length > 800 ? 0.25 : 0.5}` }));
  const lit = s("path", { class: "gpx-edges gpx-lit" });
  svg.append(lit);
  const around = nodes.map(() => ({ up: [], down: [] }));
  for (const [parent, child] of edges) {
    around[parent].down.push(child);
    around[child].up.push(parent);
  }
  const size = Math.min(7, step * 0.42);
  const marks = new Map();
  const elements = nodes.map((node, index) => {
    const [x, y] = place[index];
    const mark = node.r ? s("rect", { x: x - size, y: y - size, width: 2 * size, height: 2 * size }) : s("circle", { cx: x, cy: y, r: size });
    mark.setAttribute("class", "gpx-mark");
    mark.setAttribute("fill", node.c);
    mark.setAttribute("role", "button");
    mark.setAttribute("tabindex", "-1");
    mark.setAttribute("data-at", keys[index]);
    mark.setAttribute("aria-label", `generation ${node.g}, location ${node.l}, total error ${number(node.e)}`);
    const title = s("title");
    title.textContent = `generation ${node.g}, location ${node.l}: error ${number(node.e)}`;
    mark.append(title);
    marks.set(keys[index], mark);
    svg.append(mark);
    return mark;
  });
  const order = (index) => nodes.map((_, other) => other).filter((other) => nodes[other].g === nodes[index].g)
    .sort((a, b) => nodes[a].x - nodes[b].x);
  svg.addEventListener("click", (event) => {
    const index = elements.indexOf(event.target.closest(".gpx-mark"));
    if (index >= 0) go([nodes[index].g, nodes[index].l]);
  });
  svg.addEventListener("keydown", (event) => {
    const index = elements.indexOf(event.target);
    if (index < 0) return;
    const row = order(index);
    const next = { ArrowLeft: row[row.indexOf(index) - 1], ArrowRight: row[row.indexOf(index) + 1],
      ArrowUp: around[index].up[0], ArrowDown: around[index].down[0] }[event.key];
    if (event.key === "Enter" || event.key === " ") go([nodes[index].g, nodes[index].l]);
    else if (next === undefined) return;
    else elements[next].focus();
    event.preventDefault();
  });
  const first = elements[nodes.length - 1];
  first?.setAttribute("tabindex", "0");

  function mark(key) {
    for (const element of elements) {
      element.classList.remove("gpx-on");
      element.setAttribute("tabindex", "-1");
    }
    const index = keys.indexOf(key);
    const chosen = elements[index];
    (chosen ?? first)?.setAttribute("tabindex", "0");
    chosen?.classList.add("gpx-on");
    lit.setAttribute("d", edges.filter((pair) => pair.includes(index)).map(line).join(""));
  }
  return { svg, marks, mark, run };
}
