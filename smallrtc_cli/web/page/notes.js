/** Notes on the page: `{what, cure, traceback, action: {label, run}}`, the last three if there are any. */

const LINES_OF_TRACEBACK = 12;

/** Show a note, or, with null, none. The same note is not written twice: a live region would be read twice. */
export function renderNote(element, note) {
  const said = note ? JSON.stringify([note.what, note.cure, note.traceback]) : "";
  if (element.dataset.said === said) return;
  element.dataset.said = said;
  element.replaceChildren();
  element.hidden = !note;
  if (!note) return;
  addWords(element, "what", note.what);
  if (note.cure) addWords(element, "cure", note.cure);
  if (note.traceback) addTraceback(element, note.traceback);
  if (note.action) addAction(element, note.action);
}

function addWords(element, name, text) {
  const words = document.createElement("p");
  words.className = name;
  words.textContent = text;
  element.append(words);
}

function addTraceback(element, traceback) {
  const pre = document.createElement("pre");
  pre.tabIndex = 0;
  pre.textContent = traceback.trimEnd().split("\n").slice(-LINES_OF_TRACEBACK).join("\n");
  element.append(pre);
}

function addAction(element, { label, run }) {
  const row = document.createElement("div");
  const button = document.createElement("button");
  row.className = "row";
  button.type = "button";
  button.textContent = label;
  button.onclick = run;
  row.append(button);
  element.append(row);
}
