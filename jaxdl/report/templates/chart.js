// Curves that can be switched on and off and read: the numbers of a figure's panels, in one chart.
const COLOURS = ['#0b7bc1', '#d55e00', '#00875a', '#a055c4', '#b8860b', '#c2477f', '#00869b', '#9c6530', '#d1444e', '#6b8e23']
const DASHES = ['', '6 3', '2 3', '9 3 2 3']
const BOX = { left: 52, right: 14, top: 12, bottom: 40, height: 330 }

function drawn(tag, attributes, parent, text) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag)
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value)
  if (text !== undefined) element.textContent = text
  if (parent) parent.append(element)
  return element
}

function made(tag, properties, parent) {
  const element = Object.assign(document.createElement(tag), properties)
  if (parent) parent.append(element)
  return element
}

const known = value => value !== null && value !== undefined
const shown = value => Math.abs(value) >= 100 ? value.toFixed(1) : value.toFixed(2)

function swatch(colour, dash, parent) {
  const svg = drawn('svg', { viewBox: '0 0 22 8', 'aria-hidden': 'true' }, parent)
  drawn('path', { d: 'M0 4H22', stroke: colour, 'stroke-width': 2.5, 'stroke-dasharray': dash, fill: 'none' }, svg)
}

// Round numbers between two ends; in decades where the axis is logarithmic.
function ticks(low, high, logarithmic) {
  const found = []
  if (logarithmic) {
    for (let power = -4; power < 4; power++) for (const digit of [1, 2, 5]) found.push(digit * 10 ** power)
  } else {
    const rough = (high - low) / 5 || 1, power = 10 ** Math.floor(Math.log10(rough))
    const step = [1, 2, 5, 10].map(digit => digit * power).find(size => size >= rough)
    for (let at = Math.ceil(low / step) * step; at <= high + step * 1e-6; at += step) found.push(Number(at.toPrecision(8)))
  }
  return found.filter(at => at >= low && at <= high)
}

function scales(data, curves, width) {
  const values = curves.flatMap(curve => [...curve.values, ...curve.low, ...curve.high]).filter(known)
  const floor = data.floor, ends = [data.x[0], data.x[data.x.length - 1]]
  let low = Math.max(Math.min(...values, Infinity), floor), high = Math.max(...values, low)
  if (!Number.isFinite(low)) [low, high] = [floor || 0, 1]
  if (floor) [low, high] = [Math.max(low / 1.2, floor), high * 1.2]
  else [low, high] = [low - 0.05 * (high - low || 1), high + 0.05 * (high - low || 1)]
  const f = floor ? value => Math.log(Math.max(value, floor)) : value => value
  const across = width - BOX.left - BOX.right, down = BOX.height - BOX.top - BOX.bottom
  return {
    low, high,
    x: at => BOX.left + across * (ends[0] === ends[1] ? 0.5 : (at - ends[0]) / (ends[1] - ends[0])),
    y: value => BOX.top + down * (1 - (f(value) - f(low)) / (f(high) - f(low))),
  }
}

function line(xs, values, scale) {
  let pen = 'M'
  return values.map((value, i) => {
    if (!known(value)) { pen = 'M'; return '' }
    const step = `${pen}${scale.x(xs[i]).toFixed(1)} ${scale.y(value).toFixed(1)}`
    pen = 'L'
    return step
  }).join('')
}

function band(xs, curve, scale) {
  if (!curve.low.length || !curve.low.every(known)) return ''
  const there = line(xs, curve.high, scale)
  return `${there}${line([...xs].reverse(), [...curve.low].reverse(), scale).replace('M', 'L')}Z`
}

function axes(svg, data, scale, width) {
  for (const at of ticks(scale.low, scale.high, data.floor > 0)) {
    drawn('path', { class: 'grid', d: `M${BOX.left} ${scale.y(at)}H${width - BOX.right}` }, svg)
    drawn('text', { x: BOX.left - 6, y: scale.y(at) + 4, 'text-anchor': 'end' }, svg, String(at))
  }
  const last = data.x.length - 1, ends = ticks(data.x[0], data.x[last], false).filter(Number.isInteger)
  for (const at of ends) drawn('text', { x: scale.x(at), y: BOX.height - 22, 'text-anchor': 'middle' }, svg, String(at))
  drawn('text', { x: (BOX.left + width) / 2, y: BOX.height - 4, 'text-anchor': 'middle' }, svg, data.x_name)
  const middle = (BOX.height - BOX.bottom) / 2
  drawn('text', { x: 12, y: middle, 'text-anchor': 'middle', transform: `rotate(-90 12 ${middle})` }, svg, data.y_name)
}

function interactive(box) {
  const data = JSON.parse(box.dataset.chart), picture = box.parentElement.querySelector('.picture')
  const names = [...new Set(data.curves.map(curve => curve.name))], parts = [...new Set(data.curves.map(curve => curve.part))]
  const colour = name => COLOURS[names.indexOf(name) % COLOURS.length]
  const dash = part => DASHES[(parts.length - 1 - parts.indexOf(part)) % DASHES.length]
  const off = new Set(parts.length === 2 ? [`part ${parts[0]}`] : [])
  const visible = () => data.curves.filter(curve => !off.has(`name ${curve.name}`) && !off.has(`part ${curve.part}`))
  let at = -1

  const tools = made('div', { className: 'tools', role: 'group' })
  tools.setAttribute('aria-label', 'Curves')
  const svg = drawn('svg', { tabindex: 0, role: 'img', height: BOX.height })
  svg.setAttribute('aria-label', `${data.y_name} against ${data.x_name}; arrow keys read it ${data.x_name} by ${data.x_name}`)
  const readout = made('div', { className: 'readout' })
  readout.setAttribute('role', 'status')

  function toggle(kind, own, mark) {
    const button = made('button', { type: 'button', className: 'tool' }, tools)
    swatch(...mark, button)
    button.append(own)
    const key = `${kind} ${own}`
    const tell = () => button.setAttribute('aria-pressed', String(!off.has(key)))
    button.addEventListener('click', () => { off.has(key) ? off.delete(key) : off.add(key); tell(); redraw() })
    tell()
  }

  function read() {
    if (at < 0) return readout.replaceChildren('Point at the chart, or focus it and press the arrow keys, to read it.')
    readout.replaceChildren(made('b', { textContent: `${data.x_name} ${data.x[at]}` }))
    const rows = visible().filter(curve => known(curve.values[at])).sort((a, b) => a.values[at] - b.values[at])
    for (const curve of rows) {
      const row = made('span', {}, readout), several = parts.length > 1 ? `, ${curve.part}` : ''
      swatch(colour(curve.name), dash(curve.part), row)
      const ends = known(curve.low[at]) ? ` (${shown(curve.low[at])} to ${shown(curve.high[at])})` : ''
      row.append(`${curve.name}${several}: ${shown(curve.values[at])}${ends}`)
    }
  }

  function redraw() {
    const width = Math.max(box.clientWidth, 260), curves = visible(), scale = scales(data, curves, width)
    svg.replaceChildren()
    svg.setAttribute('viewBox', `0 0 ${width} ${BOX.height}`)
    axes(svg, data, scale, width)
    for (const curve of curves) drawn('path', { class: 'band', d: band(data.x, curve, scale), style: `fill:${colour(curve.name)}` }, svg)
    for (const curve of curves) {
      const style = { d: line(data.x, curve.values, scale), stroke: colour(curve.name), 'stroke-dasharray': dash(curve.part) }
      drawn('path', { class: 'line', 'data-name': curve.name, 'data-part': curve.part, ...style }, svg)
    }
    if (at >= 0) {
      drawn('path', { class: 'cross', d: `M${scale.x(data.x[at])} ${BOX.top}V${BOX.height - BOX.bottom}` }, svg)
      for (const curve of curves.filter(own => known(own.values[at]))) {
        drawn('circle', { cx: scale.x(data.x[at]), cy: scale.y(curve.values[at]), r: 3.5, fill: colour(curve.name) }, svg)
      }
    }
    read()
  }

  function point(event) {
    const width = Math.max(box.clientWidth, 260), scale = scales(data, visible(), width)
    const x = (event.clientX - svg.getBoundingClientRect().left) * width / svg.getBoundingClientRect().width
    const apart = data.x.map(value => Math.abs(scale.x(value) - x))
    at = apart.indexOf(Math.min(...apart))
    redraw()
  }

  const moves = { ArrowLeft: -1, ArrowRight: 1, Home: -data.x.length, End: data.x.length }
  svg.addEventListener('keydown', event => {
    if (!(event.key in moves)) return
    event.preventDefault()
    at = Math.min(Math.max(at + moves[event.key], 0), data.x.length - 1)
    redraw()
  })
  svg.addEventListener('pointermove', point)
  svg.addEventListener('pointerdown', point)

  const swap = made('button', { type: 'button', className: 'tool' })
  const show = chart => {
    picture.hidden = chart
    for (const part of [tools, svg, readout]) part.toggleAttribute('hidden', !chart)
    swap.textContent = chart ? 'Show as panels' : 'Show in one chart'
    redraw()
  }
  swap.addEventListener('click', () => show(!picture.hidden))
  for (const name of names) toggle('name', name, [colour(name), ''])
  if (parts.length > 1) for (const part of parts) toggle('part', part, ['currentColor', dash(part)])
  box.append(swap, tools, svg, readout)
  box.hidden = false
  show(parts.length < 3) // panels of several metrics say more than one chart of them
  new ResizeObserver(redraw).observe(box)
}

document.querySelectorAll('[data-chart]').forEach(interactive)
