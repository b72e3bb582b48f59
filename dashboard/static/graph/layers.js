// Where the boxes of a graph stand: in columns, causes to the left of what they trigger
// (Sugiyama's method: no cycles, layers, fewest crossings, straight lines).

const SWEEPS = 12;
const BESIDE = 14;

/** Places for nodes [{id}] and edges [{from, to}], with boxes of `width` and `height`.
 *  Gives {places: Map(id -> {x, y}), routes: Map(edge -> [{x, y}...] from the box's right side to
 *  the other's left side), back: Set(edge), width, height}. An edge to itself has no route. */
export function arrange(nodes, edges, size) {
  const whole = { places: new Map(), routes: new Map(), back: new Set(), width: 0, height: 0 };
  for (const island of islands(nodes, edges)) {
    const part = arrangeIsland(island.nodes, island.edges, size);
    const down = whole.height === 0 ? 0 : whole.height + 2 * size.gap;
    for (const [id, { x, y }] of part.places) whole.places.set(id, { x, y: y + down });
    for (const [edge, points] of part.routes) whole.routes.set(edge, points.map(({ x, y }) => ({ x, y: y + down })));
    for (const edge of part.back) whole.back.add(edge);
    whole.width = Math.max(whole.width, part.width);
    whole.height = down + part.height;
  }
  return whole;
}

/** Parts that no edge joins, the largest first; each is arranged by itself. */
function islands(nodes, edges) {
  const near = new Map(nodes.map((node) => [node.id, []]));
  for (const edge of edges) {
    near.get(edge.from).push(edge.to);
    near.get(edge.to).push(edge.from);
  }
  const island = new Map();
  const found = [];
  for (const node of nodes) {
    if (island.has(node.id)) continue;
    const waiting = [node.id];
    island.set(node.id, found.length);
    while (waiting.length > 0) {
      for (const id of near.get(waiting.pop())) {
        if (!island.has(id)) {
          island.set(id, found.length);
          waiting.push(id);
        }
      }
    }
    found.push({ nodes: [], edges: [] });
  }
  for (const node of nodes) found[island.get(node.id)].nodes.push(node);
  for (const edge of edges) found[island.get(edge.from)].edges.push(edge);
  return found.sort((a, b) => b.nodes.length - a.nodes.length);
}

function arrangeIsland(nodes, edges, { width, height, between, gap }) {
  const proper = edges.filter((edge) => edge.from !== edge.to);
  const back = againstTheFlow(nodes, proper);
  const forward = proper.map((edge) => (back.has(edge) ? { from: edge.to, to: edge.from, edge } : { from: edge.from, to: edge.to, edge }));
  const layer = layersOf(nodes, forward);
  const { columns, chains } = filled(nodes, forward, layer);
  untangle(columns);
  settle(columns, { height, gap });
  const x = (item) => item.layer * (width + between);
  const places = new Map();
  let bottom = 0;
  for (const item of columns.flat()) {
    bottom = Math.max(bottom, item.y + item.size);
    if (item.id !== null) places.set(item.id, { x: x(item), y: item.y });
  }
  const routes = new Map(chains.map(({ edge, items }) => {
    const points = items.flatMap((item, index) => {
      const y = item.y + item.size / 2;
      if (index === 0) return [{ x: x(item) + width, y }];
      if (index === items.length - 1) return [{ x: x(item), y }];
      return [{ x: x(item), y }, { x: x(item) + width, y }];
    });
    // A little lower, or it would lie on the line of the opposite direction.
    return [edge, back.has(edge) ? points.reverse().map(({ x, y }) => ({ x, y: y + BESIDE })) : points];
  }));
  return { places, routes, back, width: columns.length * (width + between) - between, height: bottom };
}

/** Edges that close a circle, seen from what nothing triggers. */
function againstTheFlow(nodes, edges) {
  const out = new Map(nodes.map((node) => [node.id, []]));
  const triggered = new Set(edges.map((edge) => edge.to));
  for (const edge of edges) out.get(edge.from).push(edge);
  const back = new Set();
  const state = new Map();
  const first = [...nodes.filter((node) => !triggered.has(node.id)), ...nodes];
  for (const start of first) {
    if (state.has(start.id)) continue;
    const path = [[start.id, 0]];
    state.set(start.id, "open");
    while (path.length > 0) {
      const top = path.at(-1);
      const edge = out.get(top[0])[top[1]];
      top[1] += 1;
      if (!edge) {
        state.set(top[0], "done");
        path.pop();
      } else if (state.get(edge.to) === "open") {
        back.add(edge);
      } else if (!state.has(edge.to)) {
        state.set(edge.to, "open");
        path.push([edge.to, 0]);
      }
    }
  }
  return back;
}

/** The longest way from what nothing triggers. */
function layersOf(nodes, edges) {
  const layer = new Map(nodes.map((node) => [node.id, 0]));
  const waiting = new Map(nodes.map((node) => [node.id, 0]));
  for (const edge of edges) waiting.set(edge.to, waiting.get(edge.to) + 1);
  const ready = nodes.map((node) => node.id).filter((id) => waiting.get(id) === 0);
  while (ready.length > 0) {
    const id = ready.pop();
    for (const edge of edges) {
      if (edge.from !== id) continue;
      layer.set(edge.to, Math.max(layer.get(edge.to), layer.get(id) + 1));
      waiting.set(edge.to, waiting.get(edge.to) - 1);
      if (waiting.get(edge.to) === 0) ready.push(edge.to);
    }
  }
  return layer;
}

/** Columns of items; an edge over several layers has an item without a box in each between. */
function filled(nodes, edges, layer) {
  const columns = Array.from({ length: Math.max(0, ...layer.values()) + 1 }, () => []);
  const make = (id, at) => {
    const item = { id, layer: at, before: [], after: [], order: columns[at].length, y: 0, size: 0 };
    columns[at].push(item);
    return item;
  };
  const items = new Map(nodes.map((node) => [node.id, make(node.id, layer.get(node.id))]));
  const chains = edges.map(({ from, to, edge }) => {
    const chain = [items.get(from)];
    for (let at = layer.get(from) + 1; at < layer.get(to); at += 1) chain.push(make(null, at));
    chain.push(items.get(to));
    for (let index = 1; index < chain.length; index += 1) {
      chain[index - 1].after.push(chain[index]);
      chain[index].before.push(chain[index - 1]);
    }
    return { edge, items: chain };
  });
  return { columns, chains };
}

function untangle(columns) {
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    const down = sweep % 2 === 0;
    for (const column of down ? columns : [...columns].reverse()) {
      const side = down ? "before" : "after";
      const middle = new Map(column.map((item) => [item, item[side].length ? mean(item[side].map((other) => other.order)) : item.order]));
      column.sort((a, b) => middle.get(a) - middle.get(b));
      column.forEach((item, order) => { item.order = order; });
    }
  }
}

/** Heights: as near to their neighbours as their order allows. */
function settle(columns, { height, gap }) {
  for (const column of columns) {
    let y = 0;
    for (const item of column) {
      item.size = item.id === null ? 0 : height;
      item.y = y;
      y += item.size + gap;
    }
  }
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    for (const column of sweep % 2 === 0 ? columns : [...columns].reverse()) {
      for (const item of column) {
        const near = [...item.before, ...item.after];
        if (near.length > 0) item.y += (mean(near.map((other) => other.y + other.size / 2)) - item.size / 2 - item.y) * 0.6;
      }
      apart(column, gap);
    }
  }
  const top = Math.min(...columns.flat().map((item) => item.y));
  for (const item of columns.flat()) item.y -= top;
}

/** No two over each other, and the column where it was on the whole. */
function apart(column, gap) {
  const before = mean(column.map((item) => item.y));
  for (let index = 1; index < column.length; index += 1) {
    column[index].y = Math.max(column[index].y, column[index - 1].y + column[index - 1].size + gap);
  }
  const moved = before - mean(column.map((item) => item.y));
  for (const item of column) item.y += moved;
}

function mean(numbers) {
  return numbers.reduce((sum, number) => sum + number, 0) / (numbers.length || 1);
}
