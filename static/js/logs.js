// Follows containers' output by server-sent events: pause, search, wrap, marks where lines were lost.
const KEEP = 5000;

function part(name, text) {
  const span = document.createElement("span");
  span.className = name;
  span.textContent = text;
  return span;
}

// The text with every hit of the search inside <mark>.
function marked(text, needle) {
  const span = part("text", "");
  const lower = text.toLowerCase();
  let from = 0;
  for (let at = needle ? lower.indexOf(needle) : -1; at >= 0; at = lower.indexOf(needle, from)) {
    const hit = document.createElement("mark");
    hit.textContent = text.slice(at, at + needle.length);
    span.append(text.slice(from, at), hit);
    from = at + needle.length;
  }
  span.append(text.slice(from));
  return span;
}

export function mount(panel) {
  const view = panel.querySelector("[data-log-view]");
  const find = (name) => panel.querySelector(`[data-log-${name}]`);
  const words = panel.dataset;
  let held = [];
  let paused = false;
  let needle = "";
  let follow = true;
  let frame = 0;

  function hideUnless(row) {
    row.hidden = needle !== "" && row.dataset.text !== undefined && !row.dataset.text.toLowerCase().includes(needle);
  }

  function lineRow({ at, container, source, text }) {
    const row = document.createElement("div");
    row.className = `log-line ${source}`;
    row.dataset.text = text;
    row.append(part("at", at.slice(11, 23)));
    if (words.many) row.append(part("from", container));
    row.append(marked(text, needle));
    row.querySelector(".at").title = at;
    hideUnless(row);
    return row;
  }

  function gapRow(text) {
    const row = document.createElement("div");
    row.className = "log-gap";
    row.textContent = text;
    return row;
  }

  function show(rows) {
    panel.querySelector("[data-log-empty]")?.remove();
    view.append(...rows);
    while (view.childElementCount > KEEP) view.firstElementChild.remove();
    if (follow) view.scrollTop = view.scrollHeight;
  }

  function flush() {
    frame = 0;
    if (paused) { find("held").textContent = held.length ? `+${held.length}` : ""; return; }
    const rows = held;
    held = [];
    if (rows.length) show(rows);
  }

  function add(row) {
    held.push(row);
    if (held.length > KEEP) held.shift();
    frame ||= requestAnimationFrame(flush);
  }

  function setPaused(value) {
    paused = value;
    find("pause").setAttribute("aria-pressed", String(value));
    find("pause-text").textContent = value ? words.resume : words.pause;
    find("held").textContent = "";
    flush();
  }

  find("pause").addEventListener("click", () => setPaused(!paused));
  find("wrap").addEventListener("click", (event) => {
    const wrapped = view.classList.toggle("wrapped");
    event.currentTarget.setAttribute("aria-pressed", String(wrapped));
  });
  find("search").addEventListener("input", (event) => {
    needle = event.target.value.trim().toLowerCase();
    for (const row of view.querySelectorAll(".log-line")) {
      row.querySelector(".text").replaceWith(marked(row.dataset.text, needle));
      hideUnless(row);
    }
    if (follow) view.scrollTop = view.scrollHeight;
  });
  view.addEventListener("scroll", () => {
    follow = view.scrollHeight - view.scrollTop - view.clientHeight < 40;
    find("end").hidden = follow;
  });
  find("end").addEventListener("click", () => { view.scrollTop = view.scrollHeight; });

  const source = new EventSource(words.logs);
  const mark = find("state");
  source.onopen = () => { mark.hidden = true; };
  source.onerror = () => { mark.hidden = false; };
  source.addEventListener("line", ({ data }) => add(lineRow(JSON.parse(data))));
  source.addEventListener("gap", ({ data }) => add(gapRow(words.gap.replace("%s", JSON.parse(data).dropped))));
  source.addEventListener("problem", ({ data }) => add(gapRow(JSON.parse(data).message)));
  source.addEventListener("end", () => source.close());
  addEventListener("pagehide", () => source.close());
}
