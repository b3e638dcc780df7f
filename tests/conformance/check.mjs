// Compares the results of the suite's client with what is expected, and counts.
//
//   check.mjs SUITE RESULTS EXPECTATIONS CONFIGURATION...
//
// RESULTS holds a CONFIGURATION.json for each. EXPECTATIONS may be empty: then there are only scores.
import { existsSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

const [suite, results, expectations, ...configurations] = process.argv.slice(2)
const load = async path => (await import(pathToFileURL(resolve(suite, 'tests', path)))).default

// Every test's kind by its id. The suite's client adds these to the index by itself.
const folders = [...(await load('index.mjs'))]
const surrogate = 'surrogate-control.mjs'
if (existsSync(resolve(suite, 'tests', surrogate))) folders.push(await load(surrogate))
const kinds = new Map()
for (const { id: folder, tests } of folders) {
  for (const { id, kind = 'required', browser_only: browser } of tests) {
    const targeted = /surrogate-control|cdn-cache-control/.test(folder) ? `${folder} ` : ''
    if (!browser) kinds.set(id, targeted + kind)
  }
}

const wrong = []
const expected = new Map(configurations.map(name => [name, new Map()]))
const lines = expectations ? readFileSync(expectations, 'utf8').split('\n') : []
for (const line of lines) {
  if (line === '' || line.startsWith('#')) continue
  const [id, where, why] = line.split('\t')
  const names = where === 'all' ? configurations : [where]
  if (!why || !names.every(name => expected.has(name))) wrong.push(`not an expectation: ${line}`)
  else if (!kinds.has(id)) wrong.push(`expected, but not in the suite: ${id}`)
  else if (names.some(name => expected.get(name).has(id))) wrong.push(`expected twice: ${id}`)
  else names.forEach(name => expected.get(name).set(id, why))
}

let right = 0
for (const name of configurations) {
  // The client may print notes before its results.
  const text = readFileSync(resolve(results, `${name}.json`), 'utf8')
  const found = JSON.parse(text.slice(text.search(/^\{/m)))
  const scores = new Map([...kinds.values()].map(kind => [kind, [0, 0]]))
  for (const [id, kind] of kinds) {
    const score = scores.get(kind)
    score[1]++
    if (found[id] === true) score[0]++
    const why = expected.get(name).get(id)
    if (found[id] === undefined) wrong.push(`${name}: ${id} has no result`)
    else if (found[id] === true && why) wrong.push(`${name}: ${id} passes; expected to fail: ${why}`)
    else if (found[id] !== true && !why) wrong.push(`${name}: ${id} fails: ${found[id].join(': ')}`)
    else right++
  }
  for (const id of Object.keys(found)) {
    if (!kinds.has(id)) wrong.push(`${name}: ${id} is not in the suite`)
  }
  const counts = [...scores].sort().map(([kind, [passed, all]]) => `${kind} ${passed}/${all}`)
  console.log(`${name}: ${counts.join(', ')}`)
}
if (expectations) {
  wrong.forEach(line => console.log(line))
  const result = wrong.length === 0 ? 'ok' : 'FAILED'
  console.log(`test result: ${result}. ${right} passed; ${wrong.length} failed; 0 ignored`)
  process.exitCode = wrong.length === 0 ? 0 : 1
}
