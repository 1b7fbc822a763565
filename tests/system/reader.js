// What a reader does with a report, and what is there then; told to the page around.
const told = { width: innerWidth, errors: [] }
addEventListener('error', event => told.errors.push(event.message))
addEventListener('load', async () => {
  const all = selector => [...document.querySelectorAll(selector)]
  const column = () => [...all('section:nth-of-type(2) tbody')[0].rows].map(row => parseFloat(row.cells[1].textContent))
  const head = all('section:nth-of-type(2) thead button')[1], cell = head.closest('th')
  told.before = column(); head.click(); told.up = [cell.ariaSort, column()]
  head.click(); told.down = [cell.ariaSort, column()]; head.click(); told.again = [cell.ariaSort, column()]
  const theme = all('.theme')[0], ground = () => getComputedStyle(document.body).backgroundColor
  told.light = ground(); theme.click(); told.dark = ground(); theme.click()
  await new Promise(done => setTimeout(done, 60))
  told.needed = document.documentElement.scrollWidth
  told.open = document.querySelector('nav details').open
  told.reached = all('a, button, [tabindex="0"], summary').every(part => part.tabIndex >= 0)
  parent.postMessage(told, '*')
})
