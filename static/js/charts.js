// CPU and memory over the last hour. The element names its JSON (data-chart), its unit and how often to ask.
import { token } from "./theme.js";

const SERIES = ["--berth-accent", "--berth-ok", "--berth-warn", "--berth-bad", "--berth-muted"];
const GIB = 1024 ** 3;

const clock = new Intl.DateTimeFormat(document.documentElement.lang, {
  hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const time = (at) => clock.format(at * 1000);

const UNITS = {
  cpu: (value) => value == null ? "–" : `${(value / 1000).toFixed(value < 100 ? 3 : 2)}`,
  memory: (value) => value == null ? "–"
    : value >= GIB ? `${(value / GIB).toFixed(2)} GiB` : `${(value / 1024 ** 2).toFixed(value < 1e8 ? 1 : 0)} MiB`,
};

function options(element, names) {
  const show = UNITS[element.dataset.unit];
  const axis = { stroke: token("--berth-muted"), grid: { stroke: token("--berth-border"), width: 1 }, ticks: { show: false } };
  return {
    width: element.clientWidth - 16,
    height: 190,
    cursor: { points: { size: 6 }, drag: { x: false, y: false } },
    scales: { x: { time: true, range: (_chart, low, high) => [Math.min(low, high - 120), high] }, y: { range: (_chart, _low, high) => [0, (high || 1) * 1.15] } },
    axes: [{ ...axis, space: 90, values: (_chart, values) => values.map(time) }, { ...axis, size: 74, values: (_chart, values) => values.map(show) }],
    series: [
      { label: element.dataset.time, value: (_chart, at) => at == null ? "–" : time(at) },
      ...names.map((name, index) => ({
        label: name,
        stroke: token(SERIES[index % SERIES.length]),
        width: 1.75,
        fill: names.length === 1 ? token("--berth-accent-soft") : undefined,
        points: { show: (chart) => chart.data[0].length < 4, size: 5 },
        value: (_chart, value) => show(value),
        spanGaps: true,
      })),
    ],
  };
}

// `web.1`: the app is known on its own page.
const label = ({ name }) => name.split("/").pop();

// Samples of several containers at their own times, as one table. Where one has none, its line goes on.
function table(series, unit) {
  const times = [...new Set(series.flatMap(({ at }) => at))].sort((a, b) => a - b);
  const columns = series.map((one) => {
    const known = new Map(one.at.map((at, index) => [at, one[unit][index]]));
    return times.map((at) => known.get(at));
  });
  return [times, ...columns];
}

export function mount(element) {
  const shell = element.querySelector("[data-plot]");
  const empty = element.querySelector("[data-empty]");
  let chart = null;
  let names = "";
  let last = [];

  function draw(series) {
    last = series;
    const filled = series.some(({ at }) => at.length);
    empty.hidden = filled;
    shell.hidden = !filled;
    element.dataset.points = String(series.reduce((sum, { at }) => sum + at.length, 0));
    if (!filled) return;
    const data = table(series, element.dataset.unit);
    const now = series.map(label).join("\n");
    if (chart && now === names) { chart.setData(data); return; }
    chart?.destroy();
    names = now;
    chart = new uPlot(options(element, series.map(label)), data, shell);
  }

  async function load() {
    if (!element.isConnected) { clearInterval(timer); return; }
    const answer = await fetch(element.dataset.chart, { headers: { Accept: "application/json" } }).catch(() => null);
    if (!answer?.ok) return;
    const { service } = element.dataset;
    const all = Object.values((await answer.json()).containers);
    draw(all.filter((one) => !service || one.service === service).sort((a, b) => a.name.localeCompare(b.name)));
  }

  const timer = setInterval(load, 5000);
  load();
  document.addEventListener("berth:theme", () => { names = ""; draw(last); });
  new ResizeObserver(() => chart?.setSize({ width: element.clientWidth - 16, height: 190 })).observe(element);
}
