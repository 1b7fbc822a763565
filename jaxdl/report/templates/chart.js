// The curves of a figure drawn from its numbers: switched on and off, and read by pointer, finger or arrow keys.
// Where this does not run, and in print, the picture of the figure stands instead.
(() => {
'use strict'

const fill = (element, attributes, inside) => {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value)
  element.append(...inside)
  return element
}
const html = (tag, attributes = {}, ...inside) => fill(document.createElement(tag), attributes, inside)
const sample = html('div')
sample.innerHTML = '<svg></svg>'  // whose namespace saves writing it here: no address stands in the page
const SVG = sample.firstChild.namespaceURI
const svg = (tag, attributes = {}, ...inside) => fill(document.createElementNS(SVG, tag), attributes, inside)

const MARKERS = [
  'M-3.5 0a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0-7 0', 'M-3.2-3.2h6.4v6.4h-6.4z', 'M0-4.5L4.2 3.3H-4.2z', 'M0-4.8L4.8 0L0 4.8L-4.8 0z',
  'M0 4.5L4.2-3.3H-4.2z', 'M-1.4-4.4h2.8v3h3v2.8h-3v3h-2.8v-3h-3v-2.8h3z', 'M-4.2-2.2L-2.2-4.2L0-2L2.2-4.2L4.2-2.2L2 0L4.2 2.2L2.2 4.2L0 2L-2.2 4.2L-4.2 2.2L-2 0z',
]
const DASHES = ['', '6 3', '2 3', '9 3 2 3']
const unique = values => [...new Set(values)]
const written = value => String(Number(value.toPrecision(6)))

// Round numbers from low to high, at most `most`: steps of 1, 2 or 5, or of a logarithm's decades.
function steps(low, high, most, smallest = 0) {
  const power = 10 ** Math.floor(Math.log10((high - low) / most || 1))
  const step = Math.max(smallest, power * [1, 2, 5, 10].find(digit => (high - low) / (power * digit) <= most))
  const found = []
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) found.push(i * step)
  return found
}
function decades(low, high, most) {
  const powers = steps(Math.floor(Math.log10(low)), Math.log10(high), 99, 1)
  const within = digits => powers.flatMap(power => digits.map(digit => digit * 10 ** power)).filter(value => value >= low && value <= high)
  const all = [[1, 2, 5], [1]].map(within).find(values => values.length <= most) || within([1])
  return all.filter((_, i) => i % Math.ceil(all.length / most) === 0)
}

function draw(source) {
  const data = JSON.parse(source.textContent)
  const figure = source.closest('figure'), picture = figure.querySelector('picture')
  const names = unique(data.curves.map(curve => curve.name)), parts = unique(data.curves.map(curve => curve.part))
  const on = {names: new Set(names), parts: new Set(parts.filter(part => !data.hidden.includes(part)))}
  let axis = 0, at = null, lit = null, places = []

  const color = curve => data.colors[names.indexOf(curve.name) % data.colors.length]
  const marker = curve => MARKERS[names.indexOf(curve.name) % MARKERS.length]
  const dashes = curve => DASHES[parts.indexOf(curve.part) % DASHES.length]
  const line = curve => ({fill: 'none', stroke: color(curve), 'stroke-width': 2, 'stroke-dasharray': dashes(curve)})
  const swatch = (curve, ...inside) => svg('svg', {width: 30, height: 12, viewBox: '0 -6 30 12', 'aria-hidden': true}, ...inside.length ? inside : [
    svg('path', {...line(curve), d: 'M0 0H30'}), svg('path', {d: marker(curve), fill: color(curve), transform: 'translate(15 0)'}),
  ])
  const shown = () => data.curves.filter(curve => curve.axis === axis && on.names.has(curve.name) && on.parts.has(curve.part))
  const valued = curve => curve.mean[curve.x.indexOf(at)]
  const one = axes => `${axes.name}, ${axes.unit}`

  const ring = data.curves.some(curve => curve.mark !== null) ? ` Ring: ${data.marked}.` : ''
  const hint = `Point, touch or press the arrow keys to read the values; Shift or a double click on a curve's button shows it alone.${ring}`
  const plot = html('div', {class: 'chart-plot'}), readout = html('div', {class: 'chart-readout'})
  const status = html('p', {class: 'chart-status', 'aria-live': 'polite'})
  const legend = html('div', {class: 'chart-legend'}), body = html('div', {}, legend, html('div', {class: 'chart-body'}, plot, readout), html('p', {class: 'note'}, hint), status)
  const image = picture.querySelector('img')
  image.id = image.id || `${figure.id}-picture`
  const canvas = svg('svg', {
    tabindex: 0, role: 'application', 'aria-label': `Chart against ${data.x}: the arrow keys read its values`, 'aria-describedby': image.id,
  })
  plot.append(canvas)

  // A labelled row of buttons that are pressed or not.
  const refreshers = []
  function row(label, entries) {
    const group = html('div', {role: 'group', 'aria-label': label}, html('span', {'aria-hidden': true}, label))
    for (const {text, icon, pressed, press, only, name} of entries) {
      const button = html('button', {type: 'button'}, ...icon ? [icon] : [], text)
      button.addEventListener('click', event => { event.shiftKey && only ? only() : press(); refresh() })
      if (only) {
        button.title = 'On or off; with Shift, or twice: this one alone'
        button.addEventListener('dblclick', () => { only(); refresh() })
      }
      if (name) {
        button.addEventListener('pointerenter', event => { if (event.pointerType === 'mouse') { lit = name; redraw() } })
        button.addEventListener('pointerleave', () => { lit = null; redraw() })
      }
      if (pressed) refreshers.push(() => button.setAttribute('aria-pressed', pressed()))
      group.append(button)
    }
    return group
  }
  const switches = (set, values, look) => values.map(value => ({
    text: value, icon: look(value), pressed: () => set.has(value), press: () => set.has(value) ? set.delete(value) : set.add(value),
    only: () => { set.clear(); set.add(value) }, name: set === on.names && value,
  }))
  const all = (text, values) => ({text, press: () => { on.names.clear(); values.forEach(name => on.names.add(name)) }})
  const view = (text, panels) => ({
    text, pressed: () => body.hidden === panels,
    press: () => { body.hidden = panels; picture.classList.toggle('chart-off', !panels) },
  })
  const of = name => data.curves.find(curve => curve.name === name)
  if (data.axes.length > 1) {
    legend.append(row('Shown', data.axes.map((each, i) => ({text: one(each), pressed: () => axis === i, press: () => { axis = i }}))))
  }
  legend.append(row('Curves', [...switches(on.names, names, name => swatch({...of(name), part: parts[0]})), all('all', names), all('none', [])]))
  if (parts.length > 1) {
    const bare = part => swatch(null, svg('path', {d: 'M0 0H30', stroke: 'currentColor', 'stroke-width': 2, 'stroke-dasharray': dashes({part})}))
    legend.append(row('Split', switches(on.parts, parts, bare)))
  }
  source.after(html('div', {class: 'chart'}, row('View', [view('one plot', false), view('panels', true)]), body))

  function redraw() {
    const width = plot.clientWidth, height = Math.max(240, Math.min(380, width * 0.6)), curves = shown()
    if (!width) return
    const {floor, top} = data.axes[axis], own = data.curves.filter(curve => curve.axis === axis)
    const up = value => top ? -Math.log(Math.max(top - value, floor)) : floor ? Math.log(Math.max(value, floor)) : value
    const back = place => top ? top - Math.exp(-place) : floor ? Math.exp(place) : place
    const along = data.logarithmic ? Math.log : value => value
    const values = parts => (curves.length ? curves : own).flatMap(curve => parts.flatMap(part => curve[part])).filter(Number.isFinite).map(up)
    const means = values(['mean']), band = values(['mean', 'low', 'high']), extent = Math.max(...means) - Math.min(...means)
    // A very wide interval (of a diverged member) is cut off, and where it reaches below 0, no error and no loss is.
    const give = 0.3 * extent, room = 0.05 * extent || 0.1
    const lowest = Math.max(Math.min(...band), Math.min(...means) - give) - room, highest = Math.min(Math.max(...band), Math.max(...means) + give) + room
    const low = top ? lowest : Math.max(lowest, floor ? Math.log(floor) : -room / 4), high = top ? Math.min(highest, -Math.log(floor)) : highest
    const most = Math.floor(height / 40)
    const ys = top ? decades(top - back(high), top - back(low), most).map(rest => top - rest) : floor ? decades(back(low), back(high), most) : steps(low, high, most)
    const digits = floor ? null : Math.max(...ys.map(value => (written(value).split('.')[1] || '').length))
    const label = value => digits === null ? written(value) : value.toFixed(digits)
    const xs = unique(own.flatMap(curve => curve.x)).sort((a, b) => a - b), [first, last] = [xs[0], xs[xs.length - 1]]
    const left = 14 + 7 * Math.max(...ys.map(value => label(value).length)), right = width - 14, head = 26, foot = height - 40
    const spread = along(last) - along(first)
    const x = value => spread ? left + 8 + (along(value) - along(first)) / spread * (right - left - 16) : (left + right) / 2
    const y = value => Math.min(foot, Math.max(head, foot - (up(value) - low) / (high - low) * (foot - head)))
    let ticks = data.logarithmic ? decades(first, last, width / 70) : steps(first, last, width / 60, 1)
    if (ticks.length < 2) ticks = unique([first, last])

    if (!xs.includes(at)) at = own.map(curve => curve.mark).find(mark => mark !== null) ?? last
    places = xs.map(value => [x(value), value])
    canvas.replaceChildren()
    fill(canvas, {width, height, viewBox: `0 0 ${width} ${height}`}, [])
    const text = (words, attributes) => svg('text', attributes, words)
    canvas.append(
      text(one(data.axes[axis]), {x: 0, y: 12}),
      text(data.x, {x: (left + right) / 2, y: height - 4, 'text-anchor': 'middle'}),
      ...ys.map(value => svg('path', {class: 'chart-grid', d: `M${left} ${y(value)}H${right}`})),
      ...ys.map(value => text(label(value), {x: left - 6, y: y(value) + 4, 'text-anchor': 'end'})),
      svg('path', {class: 'chart-edge', d: `M${left} ${foot}H${right}` + ticks.map(value => `M${x(value)} ${foot}v5`).join('')}),
      ...ticks.map(value => text(written(value), {x: x(value), y: foot + 18, 'text-anchor': 'middle'})),
    )
    for (const curve of curves) {
      const i = names.indexOf(curve.name), every = Math.ceil(curve.x.length / 6)
      const points = curve.x.map((value, k) => curve.mean[k] === null ? null : [x(value), y(curve.mean[k])])
      const path = points.map((point, k) => point && `${points[k - 1] ? 'L' : 'M'}${point}`).filter(Boolean).join('')
      const faint = lit !== null && on.names.has(lit) && lit !== curve.name
      const group = svg('g', {class: 'chart-curve', opacity: faint ? 0.25 : 1})
      if (curve.low.length) {
        const edge = curve.low.map((value, k) => [x(curve.x[k]), y(value)]).concat(curve.high.map((value, k) => [x(curve.x[k]), y(value)]).reverse())
        group.append(svg('path', {d: `M${edge.join('L')}z`, fill: color(curve), opacity: 0.13}))
      }
      group.append(svg('path', {...line(curve), d: path}))
      points.forEach((point, k) => {
        const marked = curve.x[k] === curve.mark
        if (!point || !(marked || (k + i) % every === 0)) return
        group.append(svg('path', {d: marker(curve), fill: color(curve), transform: `translate(${point})${marked ? ' scale(1.3)' : ''}`}))
        if (marked) group.append(svg('circle', {cx: point[0], cy: point[1], r: 9, fill: 'none', stroke: 'currentColor', 'stroke-width': 1.5}))
      })
      canvas.append(group)
    }
    const cross = svg('g', {class: 'chart-cross'}, svg('path', {d: `M${x(at)} ${head}V${foot}`}))
    for (const curve of curves) {
      if (Number.isFinite(valued(curve))) cross.append(svg('circle', {cx: x(at), cy: y(valued(curve)), r: 4, stroke: color(curve)}))
    }
    canvas.append(cross)
    read(curves)
  }

  // The values at the crosshair, from the highest to the lowest.
  function read(curves) {
    const {decimals} = data.axes[axis], several = unique(curves.map(curve => curve.part)).length > 1
    const number = value => value === null ? 'not finite' : value.toFixed(decimals).replace('-', '\u2212')
    const here = curves.filter(curve => curve.x.includes(at)).sort((a, b) => valued(b) - valued(a))
    const rows = here.map(curve => {
      const k = curve.x.indexOf(at), name = several ? `${curve.name}, ${curve.part}` : curve.name
      const interval = curve.low.length ? `${number(curve.low[k])} to ${number(curve.high[k])}` : ''
      return {curve, name: curve.mark === at ? `${name} (${data.marked})` : name, value: number(valued(curve)), interval}
    })
    const note = rows.some(({interval}) => interval) ? ` (${data.interval})` : ''
    const title = `${data.x} ${written(at)}: ${one(data.axes[axis])}${note}`
    readout.replaceChildren(html('table', {}, html('caption', {}, title), html('tbody', {}, ...rows.map(({curve, name, value, interval}) =>
      html('tr', {}, html('th', {scope: 'row'}, swatch(curve), ' ', name), html('td', {}, value), html('td', {}, interval)),
    ))))
    if (!rows.length) readout.append(html('p', {}, curves.length ? 'No curve that is on has a value here.' : 'Every curve is off.'))
    return `${title}. ${rows.map(({name, value, interval}) => `${name} ${value}${interval && ` (${interval})`}`).join('; ')}`
  }
  function move(to) {
    if (to === undefined || to === at) return
    at = to
    redraw()
    status.textContent = read(shown())
  }
  function refresh() {
    refreshers.forEach(each => each())
    redraw()
  }
  const nearest = event => {
    const from = event.clientX - canvas.getBoundingClientRect().left
    move(places.reduce((best, place) => Math.abs(place[0] - from) < Math.abs(best[0] - from) ? place : best)[1])
  }
  canvas.addEventListener('pointermove', nearest)
  canvas.addEventListener('pointerdown', nearest)
  canvas.addEventListener('keydown', event => {
    const i = places.findIndex(place => place[1] === at), end = places.length - 1
    const to = {ArrowLeft: i - 1, ArrowDown: i - 1, ArrowRight: i + 1, ArrowUp: i + 1, Home: 0, End: end}[event.key]
    if (to === undefined) return
    event.preventDefault()
    move(places[Math.max(0, Math.min(end, to))][1])
  })
  picture.classList.add('chart-off')
  refresh()
  new ResizeObserver(redraw).observe(plot)
}

document.querySelectorAll('.chart-data').forEach(draw)
})()
