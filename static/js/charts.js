// What was used over time. An element names its JSON (data-chart), its fields and their unit; charts of one address
// share its answers. A field's own peak (cpu_max) is drawn thinner where a single thing is shown.
import { token } from "./theme.js";

const COLOURS = 8;
const [SOON, LATELY] = [3_000, 10_000];
const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

const times = (options) => new Intl.DateTimeFormat(document.documentElement.lang, { hour: "2-digit", minute: "2-digit", hourCycle: "h23", ...options });
const CLOCKS = { 10: times({ second: "2-digit" }), 60: times({}), 600: times({ weekday: "short" }) };
const TICKS = { ...CLOCKS, 10: CLOCKS[60] };
// Round numbers of bytes are powers of two.
const STEPS = Array.from({ length: 44 }, (_, power) => 2 ** power);

function bytes(value) {
  const power = value < 1 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log2(value) / 10));
  const size = value / 1024 ** power;
  return `${size.toFixed(power && size < 100 ? 1 : 0)} ${UNITS[power]}`;
}
const SHOWN = {
  cpu: (value) => (value / 1000).toFixed(value < 100 ? 3 : 2),
  bytes,
  rate: (value) => `${bytes(value)}/s`,
};
const show = (unit, value) => value == null ? "–" : SHOWN[unit](value);

const sources = new Map();

// Asks for an address as long as one of its charts is on the page; hidden pages wait.
function subscribe(url, element, draw) {
  const source = sources.get(url) ?? { charts: new Map(), answer: null };
  source.charts.set(element, draw);
  if (sources.has(url)) { if (source.answer) draw(source.answer); return; }
  sources.set(url, source);
  const load = async () => {
    for (const known of source.charts.keys()) if (!known.isConnected) source.charts.delete(known);
    if (!source.charts.size) { sources.delete(url); return; }
    if (!document.hidden) {
      const answer = await fetch(url, { headers: { Accept: "application/json" } }).catch(() => null);
      if (answer?.ok) {
        source.answer = await answer.json();
        for (const drawn of source.charts.values()) drawn(source.answer);
      }
    }
    setTimeout(load, source.answer?.series.length ? Math.min(60_000, LATELY * (source.answer.step / 10)) : SOON);
  };
  load();
}

function lines(element, { series }) {
  const fields = element.dataset.fields.split(" ");
  const words = (element.dataset.words ?? "").split("|");
  const found = series.flatMap((one, index) => fields.map((field, number) => ({
    label: [series.length > 1 || !words[0] ? one.name : "", words[number]].filter(Boolean).join(" "),
    colour: series.length > 1 ? index : number, dash: series.length > 1 && number ? [4, 3] : undefined, values: one[field] })));
  const peak = series.length === 1 && fields.length === 1 && series[0][`${fields[0]}_max`];
  return peak ? [...found, { label: element.dataset.peak, colour: 4, values: peak, thin: true }] : found;
}

function options(element, found, step) {
  const { unit } = element.dataset;
  const clock = (at) => CLOCKS[step].format(at * 1000);
  const axis = { stroke: token("--berth-muted"), grid: { stroke: token("--berth-border"), width: 1 }, ticks: { show: false } };
  return {
    width: element.clientWidth - 16,
    height: 190,
    cursor: { points: { size: 6 }, drag: { x: false, y: false }, sync: { key: element.dataset.chart } },
    scales: { x: { time: true }, y: { range: (_chart, _low, high) => [0, (high || 1) * 1.15] } },
    axes: [{ ...axis, size: 30, space: step > 60 ? 110 : 60, values: (_chart, at) => at.map((one) => TICKS[step].format(one * 1000)) },
      { ...axis, size: 84, ...(unit === "cpu" ? {} : { incrs: STEPS }), values: (_chart, values) => values.map((value) => show(unit, value)) }],
    series: [
      { label: element.dataset.time, value: (_chart, at) => at == null ? "–" : clock(at) },
      ...found.map(({ label, colour, dash, thin }) => ({
        label, dash,
        stroke: token(`--berth-series-${1 + colour % COLOURS}`),
        width: thin ? 1 : 1.75,
        points: { show: (chart, index) => alone(chart.data[index]), size: 4 },
        value: (_chart, value) => show(unit, value),
      })),
    ],
  };
}

// A line needs two points beside each other.
const alone = (values) => values.filter((value) => value != null).length < 3;

export function mount(element) {
  const shell = element.querySelector("[data-plot]");
  let chart = null;
  let drawn = "";
  let last = null;

  function draw(answer) {
    last = answer;
    const found = lines(element, answer);
    const points = found.reduce((sum, { values }) => sum + values.filter((value) => value != null).length, 0);
    element.dataset.points = String(points);
    element.querySelector("[data-empty]").hidden = points > 0;
    shell.hidden = !points;
    if (!points) return;
    const data = [answer.at, ...found.map(({ values }) => values)];
    const names = found.map(({ label }) => label).join("\n");
    if (chart && names === drawn) chart.setData(data);
    else {
      chart?.destroy();
      drawn = names;
      chart = new uPlot(options(element, found, answer.step), data, shell);
      chart.over.addEventListener("mouseleave", rest);
    }
    if (chart.cursor.idx == null) rest();
  }

  // With nobody pointing at it, the legend tells the newest numbers.
  function rest() {
    const { data } = chart;
    let newest = data[0].length - 1;
    while (newest > 0 && data.slice(1).every((values) => values[newest] == null)) newest -= 1;
    setTimeout(() => chart.setLegend({ idx: newest }));
  }

  subscribe(element.dataset.chart, element, draw);
  document.addEventListener("berth:theme", () => { drawn = ""; if (last) draw(last); });
  new ResizeObserver(() => chart?.setSize({ width: element.clientWidth - 16, height: 190 })).observe(element);
}
