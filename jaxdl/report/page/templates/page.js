'use strict'
// Optional: theme, position in the contents, folded appendix, sortable tables.
const root = document.documentElement

function theme() {
  const dark = () => root.dataset.theme
    ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches
  const button = document.createElement('button')
  Object.assign(button, { type: 'button', className: 'tool theme' })
  const name = () => { button.textContent = dark() ? 'Light' : 'Dark' }
  button.addEventListener('click', () => {
    root.dataset.theme = dark() ? 'light' : 'dark'
    name()
  })
  name()
  document.body.prepend(button)
}

function contents() {
  const links = [...document.querySelectorAll('nav a')]
  const heads = links.map(link => document.getElementById(link.hash.slice(1)))
  const mark = () => {
    const passed = heads.filter(head => head.getBoundingClientRect().top < innerHeight / 3).length
    links.forEach((link, i) => i === passed - 1
      ? link.setAttribute('aria-current', 'true') : link.removeAttribute('aria-current'))
  }
  if (innerWidth < 600) document.querySelector('nav details').open = false
  addEventListener('scroll', mark, { passive: true })
  mark()
}

// Sort key of a cell: its first number, otherwise its text. Dashes come last in both directions.
function worth(cell) {
  const text = cell.textContent.trim().replace(/\u2212/g, '-').replace(/(\d),(?=\d{3})/g, '$1')
  const number = text.match(/^[<>]?\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)/i)
  if (number) return Number(number[1]) - (text[0] === '<' ? 1e-9 : 0)
  return text === '\u2013' ? null : text.toLowerCase()
}

function compare(a, b) {
  if (typeof a === typeof b) {
    return typeof a === 'number' ? a - b : String(a).localeCompare(String(b))
  }
  return typeof a === 'number' ? -1 : 1
}

function sortable(table) {
  const body = table.tBodies[0], first = [...body.rows], heads = [...table.tHead.rows[0].cells]
  if (first.length < 3) return
  heads.forEach((head, column) => {
    const button = document.createElement('button')
    button.append(...head.childNodes)
    head.append(button)
    button.addEventListener('click', () => {
      const next = { ascending: 'descending', descending: null }[head.getAttribute('aria-sort')]
      const order = next === undefined ? 'ascending' : next
      heads.forEach(other => other.removeAttribute('aria-sort'))
      if (!order) return body.append(...first)
      head.setAttribute('aria-sort', order)
      const keys = new Map(first.map(row => [row, worth(row.cells[column])]))
      const known = first.filter(row => keys.get(row) !== null)
      const unknown = first.filter(row => keys.get(row) === null)
      known.sort((a, b) => compare(keys.get(a), keys.get(b)) * (order === 'ascending' ? 1 : -1))
      body.append(...known, ...unknown)
    })
  })
}

// A link into the folded appendix opens it, and so does printing.
function appendix() {
  const fold = document.querySelector('details.appendix')
  if (!fold) return
  const reveal = () => {
    const target = document.getElementById(location.hash.slice(1))
    if (!target || !fold.contains(target)) return
    fold.open = true
    target.scrollIntoView()
  }
  let closed = false
  addEventListener('beforeprint', () => {
    closed = !fold.open
    fold.open = true
  })
  addEventListener('afterprint', () => { if (closed) fold.open = false })
  addEventListener('hashchange', reveal)
  reveal()
}

theme()
contents()
appendix()
document.querySelectorAll('table').forEach(sortable)
