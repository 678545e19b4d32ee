// The Compose editor over a textarea (which stays the form's field). It lives in a shadow root, where
// CodeMirror may adopt style sheets under a policy that allows no inline style.
import * as cm from "../vendor/codemirror/codemirror.js";

const colours = cm.HighlightStyle.define([
  { tag: cm.tags.propertyName, color: "var(--berth-accent)" },
  { tag: cm.tags.string, color: "var(--berth-ok)" },
  { tag: [cm.tags.number, cm.tags.bool, cm.tags.null], color: "var(--berth-warn)" },
  { tag: [cm.tags.comment, cm.tags.meta], color: "var(--berth-muted)", fontStyle: "italic" },
]);

const look = cm.EditorView.theme({
  "&": { fontSize: "13px", color: "var(--berth-text)", backgroundColor: "var(--berth-code-bg)" },
  "&.cm-focused": { outline: "2px solid var(--berth-accent)", outlineOffset: "-2px" },
  ".cm-scroller": { fontFamily: "var(--tblr-font-monospace)", lineHeight: "1.55", minHeight: "20rem", maxHeight: "34rem" },
  ".cm-content": { caretColor: "var(--berth-text)" },
  ".cm-cursor": { borderLeftColor: "var(--berth-text)" },
  ".cm-gutters": { backgroundColor: "var(--berth-sunken)", color: "var(--berth-muted)", borderRight: "1px solid var(--berth-border)", minHeight: "20rem" },
  ".cm-activeLine, .cm-activeLineGutter": { backgroundColor: "color-mix(in srgb, var(--berth-accent) 7%, transparent)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": {
    backgroundColor: "color-mix(in srgb, var(--berth-accent) 24%, transparent)" },
  ".cm-tooltip, .cm-panels": { backgroundColor: "var(--berth-raised)", color: "var(--berth-text)", border: "1px solid var(--berth-border)" },
});

// [{line, severity, message}] with lines from 1, as CodeMirror's diagnostics.
function diagnostics(state, marks) {
  return marks.map(({ line, severity, message }) => {
    const row = state.doc.line(Math.min(Math.max(line, 1), state.doc.lines));
    return { from: row.from, to: row.to, severity, message };
  });
}

function goTo(view, number) {
  const line = view.state.doc.line(Math.min(Math.max(number, 1), view.state.doc.lines));
  view.dispatch({ selection: { anchor: line.from, head: line.to }, effects: cm.EditorView.scrollIntoView(line.from, { y: "center" }) });
  view.focus();
}

// Text typed over a selection: left to the browser it would carry the old text's style over as an inline
// style, which the policy forbids.
function typeOver(event, view) {
  if (event.inputType !== "insertText" || event.isComposing || view.state.selection.main.empty) return false;
  view.dispatch(view.state.replaceSelection(event.data ?? ""), { userEvent: "input.type", scrollIntoView: true });
  return true;
}

export function mount(area) {
  const host = document.createElement("div");
  host.className = "editor-host" + (area.classList.contains("is-invalid") ? " is-invalid" : "");
  const root = host.attachShadow({ mode: "open" });
  area.after(host);
  area.hidden = true;
  const view = new cm.EditorView({
    root,
    parent: root,
    state: cm.EditorState.create({
      doc: area.value,
      extensions: [
        cm.lineNumbers(), cm.lintGutter(), cm.history(), cm.drawSelection(), cm.highlightActiveLine(),
        cm.highlightActiveLineGutter(), cm.bracketMatching(), cm.indentOnInput(), cm.indentUnit.of("  "),
        cm.yaml(), cm.syntaxHighlighting(colours), look,
        cm.keymap.of([...cm.defaultKeymap, ...cm.historyKeymap, ...cm.searchKeymap]),
        cm.EditorState.readOnly.of(area.readOnly),
        cm.EditorView.contentAttributes.of({ "aria-label": area.dataset.editor }),
        cm.EditorView.domEventHandlers({ beforeinput: typeOver }),
        cm.EditorView.updateListener.of((update) => { if (update.docChanged) area.value = update.state.doc.toString(); }),
      ],
    }),
  });
  const marks = document.getElementById(`${area.id}-marks`);
  if (marks) view.dispatch(cm.setDiagnostics(view.state, diagnostics(view.state, JSON.parse(marks.textContent))));
  area.form?.addEventListener("reset", () => setTimeout(() =>
    view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: area.value } })));
  document.addEventListener("click", (event) => {
    const link = event.target.closest(`[data-line-of="${area.id}"]`);
    if (!link) return;
    event.preventDefault();
    goTo(view, Number(link.dataset.line));
  });
  document.querySelector(`label[for="${area.id}"]`)?.addEventListener("click", () => view.focus());
}
