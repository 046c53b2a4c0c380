// The terminal writes style sheets as elements, and colors as attributes, which the
// policy of the page rejects as inline styles, as it should: markup in a log could
// have them, too. The interfaces of scripts for the same are allowed. So the terminal
// gets a document whose elements translate the one into the other.

/** Returns a document for the terminal's option `documentOverride`. */
export function terminalDocument(document: Document): Document {
  const createElement = (name: string): HTMLElement =>
    name === 'style' ? sheetElement(document) : styledElement(document, name);
  return new Proxy(document, {
    get(target, name) {
      if (name === 'createElement') return createElement;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
    set: (target, name, value) => Reflect.set(target, name, value, target),
  });
}

/** Stands for a style element: its text becomes a constructed style sheet. */
function sheetElement(document: Document): HTMLElement {
  const element = document.createElement('span');
  element.hidden = true;
  const sheet = new CSSStyleSheet();
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
  Object.defineProperty(element, 'textContent', { set: (text: string) => sheet.replaceSync(text) });
  element.remove = () => {
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter((other) => other !== sheet);
    Element.prototype.remove.call(element);
  };
  return element;
}

function styledElement(document: Document, name: string): HTMLElement {
  const element = document.createElement(name);
  element.setAttribute = (attribute: string, value: string) => {
    if (attribute === 'style') element.style.cssText = value;
    else Element.prototype.setAttribute.call(element, attribute, value);
  };
  return element;
}
