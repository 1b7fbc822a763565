// Interactive charts: curves are switched on and off and read by pointer, finger or arrow keys.
// Without scripts and in print the page shows the image of the figure instead.
(() => {
'use strict'

const MARKERS = [
  'M-3.5 0a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0-7 0', 'M-3.2-3.2h6.4v6.4h-6.4z', 'M0-4.5L4.2 3.3H-4.2z',
  'M0-4.8L4.8 0L0 4.8L-4.8 0z', 'M0 4.5L4.2-3.3H-4.2z',
  'M-1.4-4.4h2.8v3h3v2.8h-3v3h-2.8v-3h-3v-2.8h3z',
  'M-4.2-2.2L-2.2-4.2L0-2L2.2-4.2L4.2-2.2L2 0L4.2 2.2L2.2 4.2L0 2L-2.2 4.2L-4.2 2.2L-2 0z',
]
const DASHES = ['', '6 3', '2 3', '9 3 2 3']
const HINT = 'Point, touch or press the arrow keys to read values. '
  + 'Shift or double click on a button shows only that curve.'

const fill = (element, attributes, inside) => {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value)
  element.append(...inside)
  return element
}
const html = (tag, attributes = {}, ...inside) =>
  fill(document.createElement(tag), attributes, inside)
const sample = html('div')
sample.innerHTML = '<svg></svg>'  // for its namespace: the page contains no address
const svg = (tag, attributes = {}, ...inside) =>
  fill(document.createElementNS(sample.firstChild.namespaceURI, tag), attributes, inside)
const text = (words, x, y, anchor = 'start') => svg('text', {x, y, 'text-anchor': anchor}, words)
const unique = values => [...new Set(values)]
const written = value => String(Number(value.toPrecision(6)))
const titled = axis => axis.unit ? `${axis.name}, ${axis.unit}` : axis.name

// At most `most` round numbers from low to high: steps of 1, 2 or 5, or decades of a logarithm.
function steps(low, high, most, smallest = 0) {
  const power = 10 ** Math.floor(Math.log10((high - low) / most || 1))
  const few = digit => (high - low) / (power * digit) <= most
  const step = Math.max(smallest, power * [1, 2, 5, 10].find(few))
  const values = []
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) {
    values.push(i * step)
  }
  return values
}
function decades(low, high, most) {
  const powers = steps(Math.floor(Math.log10(low)), Math.log10(high), 99, 1)
  const of = digits => powers.flatMap(power => digits.map(digit => digit * 10 ** power))
  const inside = value => value >= low && value <= high
  const [fine, coarse] = [[1, 2, 5], [1]].map(digits => of(digits).filter(inside))
  const ticks = fine.length <= most ? fine : coarse
  return ticks.filter((_, i) => i % Math.ceil(ticks.length / most) === 0)
}

// Style of a curve: its name gives colour and marker, its part the dashes.
function look(chart, {name, part}) {
  const i = chart.names.indexOf(name), color = chart.colors[i % chart.colors.length]
  const dashes = DASHES[chart.parts.indexOf(part) % DASHES.length]
  const line = {fill: 'none', stroke: color, 'stroke-width': 2, 'stroke-dasharray': dashes}
  return {i, color, line, marker: {d: MARKERS[i % MARKERS.length], fill: color}}
}
function swatch({line, marker}) {
  const parts = [svg('path', {...line, d: 'M0 0H30'})]
  if (marker) parts.push(svg('path', {...marker, transform: 'translate(15 0)'}))
  return svg('svg', {width: 30, height: 12, viewBox: '0 -6 30 12', 'aria-hidden': true}, ...parts)
}
const onAxis = chart => chart.curves.filter(curve => curve.axis === chart.axis)
const visible = chart => onAxis(chart)
  .filter(({name, part}) => chart.on.names.has(name) && chart.on.parts.has(part))
const valueAt = (curve, at) => curve.mean[curve.x.indexOf(at)]

// A labelled row of buttons; `pressed` is the state of a button, `only` shows its curve alone.
function row(chart, label, entries) {
  const heading = html('span', {'aria-hidden': true}, label)
  const group = html('div', {role: 'group', 'aria-label': label}, heading)
  for (const {words, icon = [], pressed, press, only, light} of entries) {
    const button = html('button', {type: 'button'}, ...icon, words)
    const act = how => { how(); refresh(chart) }
    button.addEventListener('click', event => act(only && event.shiftKey ? only : press))
    if (only) button.addEventListener('dblclick', () => act(only))
    if (light) {
      button.addEventListener('pointerenter', event => event.pointerType === 'mouse' && light(true))
      button.addEventListener('pointerleave', () => light(false))
    }
    if (pressed) chart.refreshers.push(() => button.setAttribute('aria-pressed', pressed()))
    group.append(button)
  }
  return group
}
const put = (set, values) => {
  set.clear()
  values.forEach(value => set.add(value))
}
function switched(set, value) {
  const press = () => { if (!set.delete(value)) set.add(value) }
  return {words: value, pressed: () => set.has(value), press, only: () => put(set, [value])}
}
function legend(chart) {
  const {names, parts} = chart.on
  const every = (words, values) => ({words, press: () => put(names, values)})
  const curves = chart.names.map(name => ({
    ...switched(names, name), icon: [swatch(look(chart, {name, part: chart.parts[0]}))],
    light: lit => { chart.lit = lit ? name : null; redraw(chart) },
  }))
  const rows = [row(chart, 'Curves', [...curves, every('all', chart.names), every('none', [])])]
  if (chart.axes.length > 1) {
    const axes = chart.axes.map((axis, i) => (
      {words: titled(axis), pressed: () => chart.axis === i, press: () => { chart.axis = i }}
    ))
    rows.unshift(row(chart, 'Shown', axes))
  }
  if (chart.parts.length > 1) {
    const line = part => ({...look(chart, {part}).line, stroke: 'currentColor'})
    const splits = chart.parts.map(part => (
      {...switched(parts, part), icon: [swatch({line: line(part)})]}
    ))
    rows.push(row(chart, 'Split', splits))
  }
  return rows
}
function view(chart, words, panels) {
  const press = () => {
    chart.body.hidden = panels
    chart.picture.classList.toggle('chart-off', !panels)
  }
  return {words, press, pressed: () => chart.body.hidden === panels}
}

// Maps between values and pixels for the visible range.
function scales(chart, curves, width, height) {
  const {floor} = chart.axes[chart.axis], along = chart.logarithmic ? Math.log : value => value
  const up = value => floor ? Math.log(Math.max(value, floor)) : value
  const back = place => floor ? Math.exp(place) : place
  const places = keys => (curves.length ? curves : onAxis(chart))
    .flatMap(curve => keys.flatMap(key => curve[key])).filter(Number.isFinite).map(up)
  const means = places(['mean']), ends = places(['mean', 'low', 'high'])
  // Very wide intervals (of diverged runs) and errors below 0 are cut off.
  const extent = Math.max(...means) - Math.min(...means)
  const give = 0.3 * extent, room = 0.05 * extent || 0.1
  let low = Math.max(Math.min(...ends), Math.min(...means) - give) - room
  let high = Math.min(Math.max(...ends), Math.max(...means) + give) + room
  if (floor || Math.min(...means) >= 0) low = Math.max(low, floor ? Math.log(floor) : -room / 4)
  const most = Math.floor(height / 40)
  const ys = floor ? decades(back(low), back(high), most) : steps(low, high, most)
  const digits = Math.max(...ys.map(value => (written(value).split('.')[1] || '').length))
  const label = value => floor ? written(value) : value.toFixed(digits)

  const xs = unique(onAxis(chart).flatMap(curve => curve.x)).sort((a, b) => a - b)
  const first = xs[0], last = xs[xs.length - 1]
  const left = 14 + 7 * Math.max(...ys.map(value => label(value).length)), right = width - 14
  const head = 26, foot = height - 40, spread = along(last) - along(first)
  const ticks = chart.logarithmic
    ? decades(first, last, width / 70) : steps(first, last, width / 60, 1)
  return {
    left, right, head, foot, xs, ys, label, ticks: ticks.length > 1 ? ticks : unique([first, last]),
    x: value => spread
      ? left + 8 + (along(value) - along(first)) / spread * (right - left - 16)
      : (left + right) / 2,
    y: value => {
      const place = foot - (up(value) - low) / (high - low) * (foot - head)
      return Math.min(foot, Math.max(head, place))
    },
  }
}
function frame(chart, {left, right, foot, x, y, ys, ticks, label}, height) {
  return [
    text(titled(chart.axes[chart.axis]) + (chart.n && ` (${chart.n})`), 0, 12),
    text(chart.x, (left + right) / 2, height - 4, 'middle'),
    ...ys.map(value => svg('path', {class: 'chart-grid', d: `M${left} ${y(value)}H${right}`})),
    ...ys.map(value => text(label(value), left - 6, y(value) + 4, 'end')),
    svg('path', {class: 'chart-edge', d: `M${left} ${foot}H${right}`}),
    ...ticks.map(value => svg('path', {class: 'chart-edge', d: `M${x(value)} ${foot}v5`})),
    ...ticks.map(value => text(written(value), x(value), foot + 18, 'middle')),
  ]
}
function drawn(chart, curve, {x, y}) {
  const {i, color, line, marker} = look(chart, curve), {lit} = chart
  const every = Math.ceil(curve.x.length / 6)
  const faint = lit !== null && lit !== curve.name && chart.on.names.has(lit)
  const group = svg('g', {class: 'chart-curve', opacity: faint ? 0.25 : 1})
  const along = values => values.map(
    (value, k) => value === null ? null : [x(curve.x[k]), y(value)])
  if (curve.low.length) {
    const around = [...along(curve.low), ...along(curve.high).reverse()].filter(point => point)
    group.append(svg('path', {d: `M${around.join('L')}z`, fill: color, opacity: 0.13}))
  }
  const points = along(curve.mean)
  const d = points.map((p, k) => p ? `${points[k - 1] ? 'L' : 'M'}${p}` : '').join('')
  group.append(svg('path', {...line, d}))
  points.forEach((point, k) => {
    const marked = curve.x[k] === curve.mark
    // Markers of different curves are shifted.
    if (!point || !(marked || (k + i) % every === 0)) return
    group.append(svg('path', {...marker, transform: `translate(${point})`}))
    if (marked) group.append(svg('circle', {class: 'chart-ring', cx: point[0], cy: point[1], r: 9}))
  })
  return group
}
function redraw(chart) {
  const width = chart.plot.clientWidth, height = Math.max(240, Math.min(380, width * 0.6))
  if (!width) return
  const curves = visible(chart), scale = scales(chart, curves, width, height)
  const {xs, x, y, head, foot} = scale
  const marks = onAxis(chart).map(curve => curve.mark).filter(mark => mark !== null)
  if (!xs.includes(chart.at)) chart.at = marks.length ? marks[0] : xs[xs.length - 1]
  chart.places = xs.map(value => [x(value), value])
  const upright = svg('path', {d: `M${x(chart.at)} ${head}V${foot}`})
  const cross = svg('g', {class: 'chart-cross'}, upright)
  for (const curve of curves) {
    const value = valueAt(curve, chart.at), stroke = look(chart, curve).color
    if (Number.isFinite(value)) {
      cross.append(svg('circle', {cx: x(chart.at), cy: y(value), r: 4, stroke}))
    }
  }
  const lines = curves.map(curve => drawn(chart, curve, scale))
  chart.canvas.replaceChildren(...frame(chart, scale, height), ...lines, cross)
  fill(chart.canvas, {width, height, viewBox: `0 0 ${width} ${height}`}, [])
  read(chart, curves)
}

// Table of the values at the crosshair, the highest first; returns them as a sentence.
function read(chart, curves) {
  const {at} = chart, axis = chart.axes[chart.axis]
  const several = unique(curves.map(curve => curve.part)).length > 1
  const number = value => value === null
    ? 'not finite' : value.toFixed(axis.decimals).replace('-', '\u2212')
  const here = curves.filter(curve => curve.x.includes(at))
    .sort((a, b) => valueAt(b, at) - valueAt(a, at))
  const rows = here.map(curve => {
    const k = curve.x.indexOf(at)
    const ends = curve.low.length ? `${number(curve.low[k])} to ${number(curve.high[k])}` : ''
    const name = curve.name + (several ? `, ${curve.part}` : '')
      + (curve.mark === at ? ` (${chart.marked})` : '')
    return {icon: swatch(look(chart, curve)), name, value: number(curve.mean[k]), ends}
  })
  const interval = rows.some(({ends}) => ends) ? ` (${chart.interval})` : ''
  const title = `${chart.x} ${written(at)}: ${titled(axis)}${interval}`
  const lines = rows.map(({icon, name, value, ends}) => {
    const head = html('th', {scope: 'row'}, icon, ' ', name)
    return html('tr', {}, head, html('td', {}, value), html('td', {}, ends))
  })
  const caption = html('caption', {}, title)
  chart.readout.replaceChildren(html('table', {}, caption, html('tbody', {}, ...lines)))
  if (!rows.length) chart.readout.append(html('p', {}, 'No visible curve has a value here.'))
  const values = rows.map(({name, value, ends}) => `${name} ${value}${ends && ` (${ends})`}`)
  return `${title}. ${values.join('; ')}`
}
function move(chart, to) {
  if (to === chart.at) return
  chart.at = to
  redraw(chart)
  chart.status.textContent = read(chart, visible(chart))
}
function refresh(chart) {
  chart.refreshers.forEach(each => each())
  redraw(chart)
}
function listen(chart) {
  const {canvas} = chart
  const point = event => {
    const from = event.clientX - canvas.getBoundingClientRect().left
    const far = place => Math.abs(place[0] - from)
    move(chart, chart.places.reduce((best, place) => far(place) < far(best) ? place : best)[1])
  }
  canvas.addEventListener('pointermove', point)
  canvas.addEventListener('pointerdown', point)
  canvas.addEventListener('keydown', event => {
    const i = chart.places.findIndex(place => place[1] === chart.at), last = chart.places.length - 1
    const to = {
      ArrowLeft: i - 1, ArrowDown: i - 1, ArrowRight: i + 1, ArrowUp: i + 1, Home: 0, End: last,
    }[event.key]
    if (to === undefined) return
    event.preventDefault()
    move(chart, chart.places[Math.max(0, Math.min(last, to))][1])
  })
  new ResizeObserver(() => redraw(chart)).observe(chart.plot)
}

function draw(source) {
  const data = JSON.parse(source.textContent), figure = source.closest('figure')
  const picture = figure.querySelector('picture'), image = picture.querySelector('img')
  image.id = `${figure.id}-picture`  // its text alternative describes the chart too
  const names = unique(data.curves.map(curve => curve.name))
  const parts = unique(data.curves.map(curve => curve.part))
  const first = parts.filter(part => !data.hidden.includes(part))
  const on = {names: new Set(names), parts: new Set(first)}
  const canvas = svg('svg', {
    tabindex: 0, role: 'application',
    'aria-label': `Chart against ${data.x}: the arrow keys read its values`,
    'aria-describedby': image.id,
  })
  const chart = {
    ...data, picture, names, parts, on, canvas, axis: 0, at: null, lit: null, places: [],
    refreshers: [], plot: html('div', {class: 'chart-plot'}, canvas),
    readout: html('div', {class: 'chart-readout'}),
    status: html('p', {class: 'chart-status', 'aria-live': 'polite'}), body: html('div'),
  }
  const ring = data.curves.some(curve => curve.mark !== null) ? ` Ring: ${data.marked}.` : ''
  const around = html('div', {class: 'chart-body'}, chart.plot, chart.readout)
  chart.body.append(...legend(chart), around, html('p', {class: 'note'}, HINT + ring), chart.status)
  const views = row(chart, 'View', [view(chart, 'one plot', false), view(chart, 'panels', true)])
  picture.before(html('div', {class: 'chart'}, views, chart.body))
  refresh(chart)
  picture.classList.add('chart-off')
  listen(chart)
}

document.querySelectorAll('.chart-data').forEach(draw)
})()
