// The explorer: a head with the lake's state, the choice of runs, and the views of them. All answers come from Python;
// what a person chooses goes there as `state`.

const DEFAULTS = { where: {}, text: "", since: "", until: "", by: null, view: "success", stopped: "carry", size: "", run: "",
  individual: null, page: 0, sort: "", descending: false };
let made = 0;

function render({ model, el }) {
  const stop = [];
  const app = {
    id: `gpx-${++made}`,
    get: (name) => model.get(name),
    state: () => ({ ...DEFAULTS, ...model.get("state") }),
    set(change) {
      model.set("state", { ...app.state(), ...change });
      model.save_changes();
    },
    choose: (change) => app.set({ ...change, page: 0 }),
    // Draw now and whenever one of some traits changes, once for all that change together.
    on(names, draw) {
      let due = false;
      const soon = () => {
        if (due) return;
        due = true;
        queueMicrotask(() => { due = false; draw(); });
      };
      for (const name of names) {
        model.on(`change:${name}`, soon);
        stop.push(() => model.off(`change:${name}`, soon));
      }
      draw();
    },
  };
  const root = h("div", { class: "gpx", role: "region", "aria-label": "gpdata explorer" });
  root.append(head(app, model, stop), h("main", {}, chooser(app), views(app)));
  app.on(["working"], () => root.setAttribute("aria-busy", String(app.get("working"))));
  el.append(root);
  return () => stop.forEach((each) => each());
}

function head(app, model, stop) {
  const said = h("p", { class: "gpx-status" });
  const working = h("p", { class: "gpx-working", role: "status" });
  const every = h("select", { "data-key": "every", onchange: () => {
    model.set("every", Number(every.value));
    model.save_changes();
  } }, [[0, "off"], [2, "every 2 s"], [10, "every 10 s"], [60, "every minute"]].map(([value, name]) => h("option", { value }, name)));
  let answered = Date.now();
  let asked = 0;

  function say() {
    const { lake, version, engine, age, error } = app.get("status");
    const old = age === null || age === undefined ? age : age + (Date.now() - answered) / 1000;
    const silent = asked && Date.now() - asked > 20000 ? " · no answer: the kernel is busy or gone" : "";
    said.textContent = error ?? `${lake} · version ${version}, newest generation ${ago(old)} · ${engine}${silent}`;
  }

  // Ask whether the lake has changed, never twice at a time: a busy kernel would be met by a queue.
  let last = Date.now();
  const timer = setInterval(() => {
    say();
    const seconds = app.get("every");
    if (!seconds || asked || document.hidden || Date.now() - last < seconds * 1000) return;
    asked = last = Date.now();
    try {
      model.send({ kind: "look" });
    } catch {
      clearInterval(timer); // the kernel that answered is gone
    }
  }, 500);
  stop.push(() => clearInterval(timer));
  app.on(["status"], () => { answered = Date.now(); asked = 0; say(); });
  app.on(["every"], () => { every.value = String(app.get("every")); });
  app.on(["working"], () => { working.textContent = app.get("working") ? "working …" : ""; });
  return h("header", {}, h("h1", {}, "Explorer"), said, field("Refresh", every), working);
}

export default { render };
