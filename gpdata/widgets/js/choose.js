// The filters, and the table of the runs that they leave.

function chooser(app) {
  const said = h("p", { class: "gpx-said", "aria-live": "polite" });
  const text = h("input", { type: "search", placeholder: "label, problem, config …", "data-key": "text",
    oninput: later(() => app.choose({ text: text.value })) });
  const since = h("input", { type: "date", "data-key": "since", onchange: () => app.choose({ since: since.value }) });
  const until = h("input", { type: "date", "data-key": "until", onchange: () => app.choose({ until: until.value }) });
  const filters = h("div", { class: "gpx-filters" });
  const clear = h("button", { type: "button", class: "gpx-button", "data-key": "clear",
    onclick: () => app.choose({ where: {}, text: "", since: "", until: "" }) }, "Choose all");
  const table = h("div", { class: "gpx-runs" });
  function drawFilters() {
    const { where, ...state } = app.state();
    if (document.activeElement !== text) text.value = state.text;
    since.value = state.since;
    until.value = state.until;
    fill(filters, app.get("filters").map((column) => filter(column, where[column.name] ?? [])));
  }

  function filter({ name, values }, wanted) {
    const boxes = values.map(([value, count]) => {
      const key = `${name}=${value}`;
      const box = h("input", { type: "checkbox", "data-key": key, checked: wanted.includes(value), onchange: () => {
        const now = app.state().where[name] ?? [];
        const next = box.checked ? [...now, value] : now.filter((each) => each !== value);
        app.choose({ where: { ...app.state().where, [name]: next } });
      } });
      return h("label", {}, box, h("span", {}, value === null ? "(not set)" : value || "(empty)"),
        h("span", { class: "gpx-count" }, thousands(count)));
    });
    const title = wanted.length ? `${name}: ${wanted.map((value) => value ?? "(not set)").join(", ")}` : name;
    return fold(`filter ${name}`, title, false, { class: wanted.length ? "gpx-filter gpx-on" : "gpx-filter" },
      h("div", { class: "gpx-values", role: "group", "aria-label": name, "data-scroll": name }, boxes));
  }

  function drawTable() {
    const page = app.get("table");
    if (page.error) {
      said.textContent = "";
      fill(table, problem(page.error));
      return;
    }
    const all = app.get("status").runs;
    said.textContent = page.total === all ? `All ${several(all, "run")}` : `${thousands(page.total)} of ${several(all, "run")} chosen`;
    const { sort, descending, run } = app.state();
    const head = page.columns.map((name) => h("th", { scope: "col",
      "aria-sort": name === sort ? (descending ? "descending" : "ascending") : "none" },
      h("button", { type: "button", "data-key": `sort ${name}`, title: `Sort by ${name}`,
        onclick: () => app.set({ sort: name, descending: name === sort && !descending, page: 0 }) },
        titles[name] ?? name, name === sort ? (descending ? " ↓" : " ↑") : "")));
    const rows = page.rows.map(([uuid, ...cells]) => h("tr", { class: uuid === run ? "gpx-on" : null },
      h("th", { scope: "row" }, h("button", { type: "button", class: "gpx-link", "data-key": `run ${uuid}`, title: uuid,
        "aria-pressed": String(uuid === run), "aria-label": `Ancestry of run ${uuid}`,
        onclick: () => app.set({ run: uuid, individual: null, view: "ancestry" }) }, uuid.slice(0, 8))),
      cells.map((cell) => h("td", { title: cell }, cell))));
    const turn = (label, to, sign) => h("button", { type: "button", class: "gpx-button", "data-key": label, "aria-label": label,
      disabled: to < 0 || to >= page.pages, onclick: () => app.set({ page: to }) }, sign);
    fill(table,
      h("div", { class: "gpx-scroll", tabindex: "0", role: "region", "aria-label": "Chosen runs", "data-scroll": "runs" },
        h("table", {}, h("thead", {}, h("tr", {}, head)), h("tbody", {}, rows))),
      page.pages > 1 ? h("div", { class: "gpx-pages" }, turn("Earlier page", page.page - 1, "‹"),
        h("span", {}, `page ${page.page + 1} of ${thousands(page.pages)}`), turn("Later page", page.page + 1, "›")) : null,
      codeBlock(page.code, "Code of this choice", false));
  }

  app.on(["filters", "state"], drawFilters);
  app.on(["table", "status", "state"], drawTable);
  return h("section", { class: "gpx-choose", "aria-label": "Choose runs" },
    h("div", { class: "gpx-row" }, h("h2", {}, "Runs"), said, clear),
    h("div", { class: "gpx-row gpx-fields" }, field("Search", text), field("Since", since), field("Before", until)),
    filters, table);
}

const titles = { run_uuid: "run", generation: "last generation", best_so_far: "best error", started_at: "started" };

function field(label, input) {
  return h("label", { class: "gpx-field" }, h("span", {}, label), input);
}

// Wait until somebody has stopped typing.
function later(action) {
  let timer;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(action, 300);
  };
}
