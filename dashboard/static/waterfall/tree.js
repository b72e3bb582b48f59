// The spans of a trace as a tree, and which of its lines are to be seen.

/** A node for each span: {span, parent, children, depth, size (with all below), stray}.
 *  stray: it names a parent that is not in the trace. Nothing recurses: chains may be long. */
export class Tree {
  constructor(spans) {
    this.nodes = new Map(spans.map((span) => [span.span_id, { span, parent: null, children: [], depth: 0, size: 1, stray: false }]));
    this.roots = [];
    for (const node of this.nodes.values()) {
      const parent = this.nodes.get(node.span.parent_id);
      if (parent && !isBelow(parent, node)) {
        node.parent = parent;
        parent.children.push(node);
      } else {
        node.stray = Boolean(node.span.parent_id);
        this.roots.push(node);
      }
    }
    this.collapsed = new Set();
    this.order = [...walk(this.roots, () => true)];
    for (const node of this.order) node.depth = node.parent ? node.parent.depth + 1 : 0;
    for (const node of [...this.order].reverse()) if (node.parent) node.parent.size += node.size;
  }

  /** The lines that are not folded away, from above to below. */
  visible() {
    return [...walk(this.roots, (node) => !this.collapsed.has(node.span.span_id))];
  }

  /** Unfold whatever hides a span. */
  reveal(id) {
    for (let node = this.nodes.get(id)?.parent; node; node = node.parent) this.collapsed.delete(node.span.span_id);
  }
}

function* walk(roots, enter) {
  const waiting = [...roots].reverse();
  while (waiting.length > 0) {
    const node = waiting.pop();
    yield node;
    if (enter(node)) for (let index = node.children.length - 1; index >= 0; index -= 1) waiting.push(node.children[index]);
  }
}

// Strangers send parents that are their own children.
function isBelow(node, above) {
  for (let at = node; at; at = at.parent) if (at === above) return true;
  return false;
}
