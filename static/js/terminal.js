// A terminal in a container: a ticket from the API, then one socket for one session.
import { Terminal } from "../vendor/xterm/xterm.js";
import { FitAddon } from "../vendor/xterm/addon-fit.js";
import { token } from "./theme.js";

const ACK_EVERY = 4;
const PIECE = 32 * 1024;
const ANSI = { red: "bad", green: "ok", yellow: "warn", blue: "accent", cyan: "info" };

// The policy lets in the style elements that carry the page's nonce.
function allowStyles(nonce) {
  const make = document.createElement.bind(document);
  document.createElement = (name, ...rest) => {
    const element = make(name, ...rest);
    if (name === "style") element.nonce = nonce;
    return element;
  };
}

function theme() {
  const colours = { background: token("--berth-code-bg"), foreground: token("--berth-text"), cursor: token("--berth-text"),
    cursorAccent: token("--berth-code-bg"), selectionBackground: token("--berth-selection") };
  for (const [name, tone] of Object.entries(ANSI)) {
    colours[name] = colours[`bright${name[0].toUpperCase()}${name.slice(1)}`] = token(`--berth-${tone}`);
  }
  return { ...colours, black: token("--berth-border-strong"), brightBlack: token("--berth-muted"),
    white: token("--berth-muted"), brightWhite: token("--berth-text") };
}

export function mount(panel) {
  const find = (name) => panel.querySelector(`[data-terminal-${name}]`);
  const words = panel.dataset;
  const [form, choice, command, state] = ["form", "choice", "command", "state"].map(find);
  allowStyles(words.nonce);
  const screen = new Terminal({ fontFamily: getComputedStyle(find("view")).fontFamily, fontSize: 13, cursorBlink: true,
    scrollback: 5000, screenReaderMode: true, minimumContrastRatio: 4.5, theme: theme() });
  const fit = new FitAddon();
  screen.loadAddon(fit);
  screen.open(find("view"));
  screen.textarea.setAttribute("aria-label", words.label);
  fit.fit();
  let socket = null;
  let sent = "";

  const say = (text) => { state.textContent = text; };
  const tell = (message) => socket?.readyState === WebSocket.OPEN && socket.send(JSON.stringify(message));

  async function ticket() {
    const body = { width: screen.cols, height: screen.rows, ...(choice.value && { command: command.value }) };
    const answer = await fetch(words.terminal, { method: "POST", body: JSON.stringify(body), headers: {
      "Content-Type": "application/json", "X-CSRFToken": form.elements.csrfmiddlewaretoken.value } });
    const said = await answer.json();
    if (!answer.ok) throw new Error(Object.values(said.error.fields).flat()[0] ?? said.error.message);
    return said;
  }

  async function start() {
    socket?.close();
    screen.reset();
    say(words.connecting);
    try {
      const given = await ticket();
      open(given.ticket, new URL(given.url).pathname);
    } catch (error) { say(error.message); }
  }

  function open(secret, path) {
    const mine = new WebSocket(`${location.protocol.replace("http", "ws")}//${location.host}${path}`);
    mine.binaryType = "arraybuffer";
    let [unacked, heard, over] = [0, false, false];
    socket = mine;
    mine.onopen = () => tell({ ticket: secret, acks: true });
    const end = (text) => { over = true; say(text); panel.dataset.session = "ended"; };
    const control = {
      started() { say(words.connected); panel.dataset.session = "open"; tell({ type: "resize", width: screen.cols, height: screen.rows }); },
      exit({ code }) { end(words.ended.replace("%s", code)); },
      error({ code, message }) { end(code === "failed" && !heard && !choice.value ? words.noShell : message); },
      ack() {},
    };
    mine.onmessage = ({ data }) => {
      if (mine !== socket) return;
      if (typeof data === "string") { const said = JSON.parse(data); control[said.type]?.(said); return; }
      heard = true;
      screen.write(new Uint8Array(data, 1), () => {
        unacked += 1;
        if (unacked >= ACK_EVERY && mine === socket) { tell({ type: "ack", frames: unacked }); unacked = 0; }
      });
    };
    mine.onclose = () => { if (mine === socket && !over) end(words.lost); };
    screen.focus();
  }

  // One message carries so many bytes at most.
  function type(bytes) {
    for (let at = 0; socket?.readyState === WebSocket.OPEN && at < bytes.length; at += PIECE) socket.send(bytes.slice(at, at + PIECE));
  }
  screen.onData((text) => type(new TextEncoder().encode(text)));
  screen.onBinary((text) => type(Uint8Array.from(text, (one) => one.charCodeAt(0))));
  screen.onResize(({ cols, rows }) => {
    const size = `${cols}x${rows}`;
    if (size !== sent) tell({ type: "resize", width: cols, height: rows });
    sent = size;
  });
  screen.attachCustomKeyEventHandler((event) => {
    if (!event.ctrlKey || event.altKey || event.metaKey || event.type !== "keydown") return true;
    if (event.key === ",") { form.querySelector("button").focus(); event.preventDefault(); return false; }
    const key = event.key.toLowerCase();
    return !(key === "v" || (key === "c" && screen.hasSelection()));
  });
  choice.addEventListener("change", () => {
    command.hidden = command.disabled = !choice.value;
    if (choice.value) command.focus();
  });
  form.addEventListener("submit", (event) => { event.preventDefault(); start(); });
  document.addEventListener("berth:theme", () => { screen.options.theme = theme(); });
  new ResizeObserver(() => fit.fit()).observe(find("view"));
  addEventListener("pagehide", () => socket?.close());
  start();
}
