// Elements without a framework. Text is always text, never HTML: span names come from strangers.

const SVG = "http://www.w3.org/2000/svg";

/** An element; `on` are listeners, `style` is set property by property (the page's policy allows
 *  no style attributes), null and false leave an attribute or a child out. */
export function h(tag, properties, ...children) {
  return build(document.createElement(tag), properties, children);
}

/** The same in SVG. */
export function svg(tag, properties, ...children) {
  return build(document.createElementNS(SVG, tag), properties, children);
}

function build(element, properties, children) {
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    } else if (name === "style") {
      for (const [property, text] of Object.entries(value)) element.style.setProperty(property, text);
    } else {
      element.setAttribute(name, value === true ? "" : String(value));
    }
  }
  element.append(...children.flat(2).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Give `container` other children. What had the focus has it again, known by its `data-key`;
 *  without that, every live update would throw who uses the keyboard back to the top. */
export function fill(container, ...children) {
  const focused = container.contains(document.activeElement)
    ? document.activeElement.closest("[data-key]")?.dataset.key
    : undefined;
  container.replaceChildren(...children.flat(2).filter(Boolean));
  if (focused !== undefined) {
    container.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  }
}
