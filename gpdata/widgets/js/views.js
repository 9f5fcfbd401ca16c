// The tabs, and the view that is open: its options, picture, numbers and code.

function views(app) {
  const panel = h("div", { class: "gpx-panel", role: "tabpanel", tabindex: "0", id: `${app.id}-panel` });
  const options = h("div", { class: "gpx-row gpx-fields" });
  const body = h("div", { class: "gpx-body" });
  const tabs = h("div", { class: "gpx-tabs", role: "tablist", "aria-label": "Views", onkeydown: (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const names = Object.keys(app.get("views"));
    const next = names[(names.indexOf(app.state().view) + step + names.length) % names.length];
    app.set({ view: next });
    tabs.querySelector(`[data-key="tab ${next}"]`).focus();
    event.preventDefault();
  } });
  const graph = ancestry(app);

  function drawTabs() {
    const now = app.state().view;
    fill(tabs, Object.entries(app.get("views")).map(([name, title]) => h("button", { type: "button", role: "tab",
      "data-key": `tab ${name}`, "aria-selected": String(name === now), "aria-controls": `${app.id}-panel`,
      tabindex: name === now ? "0" : "-1", onclick: () => app.set({ view: name }) }, title)));
    panel.setAttribute("aria-label", app.get("views")[now] ?? "");
  }

  function drawOptions() {
    const state = app.state();
    const { columns, by } = app.get("groups");
    const found = [];
    if (state.view !== "ancestry" && state.view !== "diversity") found.push(groupBy(columns, by));
    if (state.view === "errors") found.push(select("Runs that have ended", state.stopped,
      { carry: "keep their last error", drop: "are left out", zero: "count as 0 if solved" }, (stopped) => app.set({ stopped })));
    if (state.view === "sizes") found.push(select("Size", state.size, { "": "the first recorded", genome_size: "genomes",
      program_size: "programs", percent_parens: "parentheses" }, (size) => app.set({ size })));
    fill(options, found);
  }

  function groupBy(columns, by) {
    const add = h("select", { "data-key": "group", onchange: () => add.value && app.set({ by: [...by, add.value] }) },
      h("option", { value: "" }, by.length ? "and by …" : "all runs together"),
      columns.filter((name) => !by.includes(name)).map((name) => h("option", { value: name }, name)));
    const chips = by.map((name) => h("button", { type: "button", class: "gpx-chip", "data-key": `by ${name}`,
      "aria-label": `Do not group by ${name}`, onclick: () => app.set({ by: by.filter((each) => each !== name) }) },
      name, h("span", { "aria-hidden": "true" }, " ×")));
    return h("div", { class: "gpx-field gpx-groups" }, h("label", { class: "gpx-field" }, h("span", {}, "Group by"), add), chips);
  }

  function select(label, value, choices, chosen) {
    const box = h("select", { "data-key": label, onchange: () => chosen(box.value) },
      Object.entries(choices).map(([key, name]) => h("option", { value: key, selected: key === value }, name)));
    return field(label, box);
  }

  function drawBody() {
    if (app.state().view === "ancestry") {
      if (body.firstChild !== graph) body.replaceChildren(graph);
      return;
    }
    const view = app.get("view");
    if (view.name !== app.state().view) return; // its answer is still being made
    if (view.error) {
      fill(body, problem(view.error));
      return;
    }
    const rows = view.rows.length;
    const cut = rows < view.total ? `Numbers (the first ${thousands(rows)} of ${thousands(view.total)} rows)` : "Numbers";
    fill(body, h("p", { class: "gpx-says" }, view.says),
      h("img", { class: "gpx-picture", src: view.picture, alt: view.alt }),
      h("a", { class: "gpx-save", href: view.picture, download: `${view.name}.svg`, "data-key": "save",
        title: "The file says where its numbers come from, and gpdata.plots.again draws it anew" }, "Save this picture (SVG)"),
      fold("numbers", cut, rows <= 12, { class: "gpx-numbers" },
        h("div", { class: "gpx-scroll", tabindex: "0", role: "region", "aria-label": "Numbers" }, h("table", {},
          h("thead", {}, h("tr", {}, view.columns.map((name) => h("th", { scope: "col" }, name)))),
          h("tbody", {}, view.rows.map((row) => h("tr", {}, row.map((cell) => h("td", {}, cell)))))))),
      codeBlock(view.code, "Code of this view", true));
  }

  app.on(["views", "state"], drawTabs);
  app.on(["groups", "state"], drawOptions);
  app.on(["view", "state"], drawBody);
  panel.append(options, body);
  return h("section", { class: "gpx-views", "aria-label": "Views of the chosen runs" }, tabs, panel);
}
