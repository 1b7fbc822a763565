'use strict'
const at = id => document.getElementById(id)
const made = (tag, text = '') => Object.assign(document.createElement(tag), { textContent: text })
const per = share => `${(100 * share).toFixed(1)} %`
let most = Infinity, waiting = 0

async function about() {
  const said = await (await fetch('/about')).json()
  most = said.max_bytes
  const near = said.training ? `, ${said.training.toLocaleString('en')} training images to compare with` : `; ${said.missing}`
  at('about').textContent = `${said.architecture}, ${said.classes.length} classes${near}`
}

function show(card, said) {
  const seen = card.querySelector('.seen'), why = card.querySelector('.why')
  seen.src = said.seen
  seen.alt = 'centre crop'
  why.hidden = false
  why.addEventListener('click', () => {
    const on = why.getAttribute('aria-pressed') !== 'true'
    why.setAttribute('aria-pressed', String(on))
    seen.src = on ? said.explained : said.seen
    seen.alt = on ? 'Grad-CAM of the first class: bright regions raise its logit' : 'centre crop'
  })
  for (const one of said.classes) {
    const row = made('li'), bar = made('progress')
    Object.assign(bar, { max: 1, value: one.probability })
    bar.setAttribute('aria-hidden', 'true')
    row.append(made('b', one.name), made('span', per(one.probability)), bar)
    card.querySelector('.classes').append(row)
  }
  card.querySelector('h3').hidden = !said.nearest.length
  for (const one of said.nearest) {
    const row = made('li'), image = made('img')
    Object.assign(image, { src: `/training/${one.image}`, alt: '' })
    row.append(image, `${one.class}, ${one.similarity.toFixed(2)}`)
    card.querySelector('.nearest').append(row)
  }
}

function fail(card, words) {
  const error = card.querySelector('.error')
  error.textContent = words
  error.hidden = false
  card.querySelector('.picture').hidden = true
}

async function ask(file, before) {
  const card = at('card').content.firstElementChild.cloneNode(true)
  card.querySelector('h2').textContent = file.name || 'pasted image'
  card.querySelector('.why').hidden = true
  at('cards').insertBefore(card, before)
  if (file.size > most) return fail(card, `larger than ${(most / 2 ** 20).toFixed(0)} MiB`)
  at('status').textContent = `${++waiting} under way`
  try {
    const answer = await fetch('/predict', { method: 'POST', body: file })
    const said = await answer.json().catch(() => ({ error: `the server failed (${answer.status})` }))
    answer.ok ? show(card, said) : fail(card, said.error)
  } catch {
    fail(card, 'the server does not answer')
  }
  at('status').textContent = --waiting ? `${waiting} under way` : ''
}

// Above what is there already, and in the order in which they were given.
function all(files) {
  const before = at('cards').firstChild
  for (const file of files) ask(file, before)
}

at('choose').addEventListener('change', event => { all(event.target.files); event.target.value = '' })
for (const name of ['dragover', 'dragleave', 'drop']) {
  addEventListener(name, event => {
    event.preventDefault()
    at('drop').classList.toggle('over', name === 'dragover')
    if (name === 'drop') all(event.dataTransfer.files)
  })
}
addEventListener('paste', event => all(event.clipboardData.files))
about()
