import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { Ajv, type ValidateFunction } from 'ajv'

/**
 * JSON Schemas of Kubernetes resources, built from the interfaces of the package kubernetes-types,
 * which are generated from the OpenAPI description: all fields, the required ones, and no others.
 * The resources of operators are written out below.
 */

const PACKAGE = dirname(createRequire(import.meta.url).resolve('kubernetes-types/package.json'))
type Schema = Record<string, unknown>

const TOKEN = /"[^"]*"|\w+|[{}[\]<>|;:?,()]/g
const schemas = new Map<string, Schema>()
const loaded = new Set<string>()

/** Reads a file of interfaces into `schemas`, under `<file>#<name>`. */
function load(file: string): void {
  if (loaded.has(file)) return
  loaded.add(file)
  const text = readFileSync(join(PACKAGE, `${file}.d.ts`), 'utf8').replace(/\/\*[\s\S]*?\*\//g, '')
  const imports = new Map<string, string>()
  for (const [, names, from] of text.matchAll(/^import \{([^}]*)\} from "([^"]+)";/gm)) {
    for (const name of names!.split(',')) imports.set(name.trim(), join(dirname(file), from!))
  }
  const refer = (name: string): Schema => {
    const home = imports.get(name) ?? file
    load(home)
    return { $ref: `#/definitions/${definition(home, name)}` }
  }
  for (const [, name, body] of text.matchAll(/^export interface (\w+)[^{]*\{\n([\s\S]*?)^\}/gm)) {
    const tokens = `{${body}}`.match(TOKEN)!
    schemas.set(definition(file, name!), new TypeReader(tokens, refer).type())
  }
  for (const [, name, type] of text.matchAll(/^export type (\w+) = ([^;]+);/gm)) {
    schemas.set(definition(file, name!), new TypeReader(type!.match(TOKEN)!, refer).type())
  }
}

const definition = (file: string, name: string): string => `${file.replaceAll('/', '.')}.${name}`

class TypeReader {
  readonly #tokens: readonly string[]
  readonly #refer: (name: string) => Schema
  #at = 0

  constructor(tokens: readonly string[], refer: (name: string) => Schema) {
    this.#tokens = tokens
    this.#refer = refer
  }

  type(): Schema {
    const options = [this.#one()]
    while (this.#tokens[this.#at] === '|') {
      this.#at++
      options.push(this.#one())
    }
    return options.length === 1 ? options[0]! : { anyOf: options }
  }

  #one(): Schema {
    let schema = this.#bare()
    while (this.#tokens[this.#at] === '[') {
      this.#at += 2
      schema = { type: 'array', items: schema }
    }
    return schema
  }

  #bare(): Schema {
    const token = this.#tokens[this.#at++]!
    if (token === '{') return this.#object()
    if (token.startsWith('"')) return { const: token.slice(1, -1) }
    if (token === 'any') return {}
    if (['string', 'number', 'boolean'].includes(token)) return { type: token }
    if (token !== 'Array') return this.#refer(token)
    this.#at++
    const items = this.type()
    this.#at++
    return { type: 'array', items }
  }

  #object(): Schema {
    const properties: Record<string, Schema> = {}
    const required: string[] = []
    let rest: Schema | false = false
    while (this.#tokens[this.#at] !== '}') {
      if (this.#tokens[this.#at] === 'readonly' && this.#tokens[this.#at + 1] !== ':') this.#at++
      const name = this.#tokens[this.#at++]!
      if (name === '[') {
        this.#at += 5
        rest = this.type()
      } else {
        const optional = this.#tokens[this.#at] === '?'
        this.#at += optional ? 2 : 1
        properties[name.replaceAll('"', '')] = this.type()
        if (!optional) required.push(name)
      }
      this.#at++
    }
    this.#at++
    return { type: 'object', properties, required, additionalProperties: rest }
  }
}

const text = { type: 'string' }
const texts = { type: 'object', additionalProperties: text }
const object = (properties: Schema, required: string[]): Schema => ({
  type: 'object',
  properties,
  required,
  additionalProperties: false,
})
const list = (items: Schema): Schema => ({ type: 'array', items, minItems: 1 })
const resource = (apiVersion: string, kind: string, spec: Schema): Schema =>
  object(
    {
      apiVersion: { const: apiVersion },
      kind: { const: kind },
      metadata: object({ name: text, namespace: text, labels: texts }, ['name']),
      spec,
    },
    ['apiVersion', 'kind', 'metadata', 'spec'],
  )
const duration = { type: 'string', pattern: '^\\d+(ms|s|m|h|d)$' }

/** The resources of the Prometheus operator, as far as k8s/ uses them. */
const OPERATOR: Record<string, Schema> = {
  'monitoring.coreos.com/v1 ServiceMonitor': resource(
    'monitoring.coreos.com/v1',
    'ServiceMonitor',
    object(
      {
        jobLabel: text,
        selector: object({ matchLabels: texts }, ['matchLabels']),
        endpoints: list(object({ port: text, path: text, interval: duration }, ['port'])),
      },
      ['selector', 'endpoints'],
    ),
  ),
  'monitoring.coreos.com/v1 PrometheusRule': resource(
    'monitoring.coreos.com/v1',
    'PrometheusRule',
    object(
      {
        groups: list(
          object(
            {
              name: text,
              interval: duration,
              rules: list({
                oneOf: [
                  object({ record: { type: 'string', pattern: '^[a-z_:][\\w:]*$' }, expr: text }, ['record', 'expr']),
                  object({ alert: text, expr: text, for: duration, labels: texts, annotations: texts }, [
                    'alert',
                    'expr',
                  ]),
                ],
              }),
            },
            ['name', 'rules'],
          ),
        ),
      },
      ['groups'],
    ),
  ),
}

const ajv = new Ajv({ allErrors: true, strict: false })
const compiled = new Map<string, ValidateFunction>()

/** The problems of a resource; empty when it is valid. @throws when its kind is unknown. */
export function problemsOf(resource: { apiVersion: string; kind: string }): string[] {
  const { apiVersion, kind } = resource
  const key = `${apiVersion} ${kind}`
  const [group, version] = apiVersion.includes('/') ? apiVersion.split('/') : ['core', apiVersion]
  const file = `${group!.split('.')[0]}/${version}`
  const own = OPERATOR[key]
  if (!own) {
    if (!existsSync(join(PACKAGE, `${file}.d.ts`))) throw new Error(`no schema of ${key}`)
    load(file)
    if (!schemas.has(definition(file, kind))) throw new Error(`no schema of ${key}`)
  }
  const validate =
    compiled.get(key) ??
    ajv.compile(own ?? { $ref: `#/definitions/${definition(file, kind)}`, definitions: Object.fromEntries(schemas) })
  compiled.set(key, validate)
  if (validate(resource)) return []
  return (validate.errors ?? []).map(
    ({ instancePath, message, params }) => `${kind}${instancePath} ${message} ${JSON.stringify(params)}`,
  )
}
