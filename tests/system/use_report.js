// Use of a report in a browser; the results go to the page around it.
const result = { width: innerWidth, errors: [] }
addEventListener('error', event => result.errors.push(event.message))
addEventListener('load', async () => {
  const all = selector => [...document.querySelectorAll(selector)]
  const rows = () => [...all('section:nth-of-type(1) tbody')[0].rows]
  const column = () => rows().map(row => parseFloat(row.cells[1].textContent))
  const head = all('section:nth-of-type(1) thead button')[1], cell = head.closest('th')
  const sorted = () => {
    head.click()
    return [cell.ariaSort, column()]
  }
  result.before = column()
  result.up = sorted()
  result.down = sorted()
  result.again = sorted()
  const theme = all('.theme')[0]
  const ground = () => getComputedStyle(document.body).backgroundColor
  result.light = ground()
  theme.click()
  result.dark = ground()
  theme.click()
  const appendix = all('details.appendix')[0]
  const isOpen = () => [appendix.open, all('#learning_rates')[0].checkVisibility()]
  result.folded = isOpen()
  dispatchEvent(new Event('beforeprint'))
  result.printed = isOpen()
  dispatchEvent(new Event('afterprint'))
  result.afterwards = isOpen()
  location.hash = all('h3')[0].id
  await new Promise(done => setTimeout(done, 60))
  result.linked = isOpen()
  result.needed = document.documentElement.scrollWidth
  result.open = document.querySelector('nav details').open
  result.reached = all('a, button, [tabindex="0"], summary').every(part => part.tabIndex >= 0)
  parent.postMessage(result, '*')
})
