/** The list on the page that shows a conversation's lines. The newest is in view unless the reader has scrolled up. */

const KEPT = 500; // lines

export class Transcript {
  #list;
  #announcer;
  #items = new Map();

  constructor(list, announcer) {
    this.#list = list;
    this.#announcer = announcer;
  }

  /** Show a line, or its new words. */
  show(line) {
    const atEnd = this.#list.scrollHeight - this.#list.scrollTop - this.#list.clientHeight < 40;
    const item = this.#items.get(line.id) ?? this.#add(line);
    item.said.textContent = line.text;
    item.rest.textContent = line.rest ? ` ${line.rest}` : "";
    item.element.classList.toggle("half", !line.final);
    if (line.final && line.who !== "event") this.#announce(line);
    if (atEnd) this.#list.scrollTop = this.#list.scrollHeight;
  }

  #add(line) {
    this.#list.querySelector(".empty")?.remove();
    const element = document.createElement("li");
    element.className = line.who;
    const who = part(
      "span",
      "speaker",
      { you: "you", bot: "bot", event: "·", message: line.sent ? "→" : "←" }[line.who],
    );
    const said = part("span", "said");
    const rest = part("span", "rest");
    const text = part("span", "words");
    text.append(said, rest);
    const time = part("time", "quiet figure", line.time.toTimeString().slice(0, 8));
    element.append(who, text, time);
    this.#list.append(element);
    const item = { element, said, rest };
    this.#items.set(line.id, item);
    if (this.#items.size > KEPT) this.#forget();
    return item;
  }

  #forget() {
    const [oldest, { element }] = this.#items.entries().next().value;
    element.remove();
    this.#items.delete(oldest);
  }

  #announce({ who, text, sent }) {
    const name = { you: "You", bot: "Bot", message: sent ? "Sent" : "Received" }[who];
    this.#announcer.textContent = `${name}: ${text}`;
  }
}

function part(tag, name, text = "") {
  const element = document.createElement(tag);
  element.className = name;
  element.textContent = text;
  return element;
}
