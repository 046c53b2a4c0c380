// The terminal writes style sheets as elements, and colors as attributes, which the
// policy of the page rejects as inline styles, as it should: markup could have them,
// too. The interfaces of scripts for the same are allowed. So while the terminal is
// built, style elements are stand-ins for constructed style sheets, and spans
// translate the attribute. Its option for another document does not reach all parts.

/** Calls a function whose style elements become style sheets of scripts. */
export function withStyleSheets(build: () => void): void {
  document.createElement = (name: string): HTMLElement => {
    const element = Document.prototype.createElement.call(document, name === 'style' ? 'span' : name);
    return name === 'style' ? sheetElement(element) : element;
  };
  try {
    build();
  } finally {
    // The function of the prototype is in effect again.
    Reflect.deleteProperty(document, 'createElement');
  }
}

/** Makes the text of an element a style sheet, which goes with the element. */
function sheetElement(element: HTMLElement): HTMLElement {
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

/** Makes spans, which the cells of the terminal are, accept the attribute from scripts. */
export function acceptSpanStyles(): void {
  HTMLSpanElement.prototype.setAttribute = function setAttribute(name: string, value: string): void {
    if (name === 'style') this.style.cssText = value;
    else Element.prototype.setAttribute.call(this, name, value);
  };
}
