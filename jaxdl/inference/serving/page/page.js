'use strict'
const at = id => document.getElementById(id)
const made = (tag, text = '') => Object.assign(document.createElement(tag), { textContent: text })
const per = share => `${(100 * share).toFixed(1)} %`
let most = Infinity, waiting = 0

async function about() {
  const facts = await (await fetch('/about')).json()
  most = facts.max_bytes
  const near = facts.training
    ? `, ${facts.training.toLocaleString('en')} training images to compare with`
    : `; ${facts.missing}`
  at('about').textContent = `${facts.architecture}, ${facts.classes.length} classes${near}`
}

function show(card, result) {
  const picture = card.querySelector('.seen'), why = card.querySelector('.why')
  picture.src = result.seen
  picture.alt = 'centre crop'
  why.hidden = false
  why.addEventListener('click', () => {
    const on = why.getAttribute('aria-pressed') !== 'true'
    why.setAttribute('aria-pressed', String(on))
    picture.src = on ? result.explained : result.seen
    picture.alt = on ? 'Grad-CAM of the first class: bright regions raise its logit' : 'centre crop'
  })
  if (result.unknown) {
    const row = made('li')
    row.append(made('b', 'unknown'), made('span', `all below ${per(result.threshold)}`))
    card.querySelector('.classes').append(row)
  }
  for (const one of result.classes) {
    const row = made('li'), bar = made('progress')
    Object.assign(bar, { max: 1, value: one.probability })
    bar.setAttribute('aria-hidden', 'true')
    row.append(made('b', one.name), made('span', per(one.probability)), bar)
    card.querySelector('.classes').append(row)
  }
  card.querySelector('h3').hidden = !result.nearest.length
  for (const one of result.nearest) {
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
    const response = await fetch('/predict', { method: 'POST', body: file })
    const failure = { error: `the server failed (${response.status})` }
    const result = await response.json().catch(() => failure)
    response.ok ? show(card, result) : fail(card, result.error)
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

at('choose').addEventListener('change', event => {
  all(event.target.files)
  event.target.value = ''
})
for (const name of ['dragover', 'dragleave', 'drop']) {
  addEventListener(name, event => {
    event.preventDefault()
    at('drop').classList.toggle('over', name === 'dragover')
    if (name === 'drop') all(event.dataTransfer.files)
  })
}
addEventListener('paste', event => all(event.clipboardData.files))
about()
