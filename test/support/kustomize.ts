import { existsSync, readFileSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { parse, parseAllDocuments } from 'yaml'

export interface Resource {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { name: string; namespace?: string; labels?: Record<string, string> }
  // biome-ignore lint/suspicious/noExplicitAny: a test reads any field
  readonly [key: string]: any
}
interface Patch {
  readonly target: { kind: string; name: string }
  readonly patch: string
}
interface Operation {
  readonly op: 'add' | 'replace' | 'remove'
  readonly path: string
  readonly value?: unknown
}

const KNOWN = ['apiVersion', 'kind', 'namespace', 'resources', 'images', 'patches', 'configMapGenerator']
const CLUSTER_WIDE = ['Namespace']

/** All documents of a YAML file. @throws on invalid YAML or a duplicate key. */
export function documents(path: string): Resource[] {
  return parseAllDocuments(readFileSync(path, 'utf8'), { uniqueKeys: true }).map((document) => {
    if (document.errors.length > 0) throw new Error(`${path}: ${document.errors[0]!.message}`)
    return document.toJS()
  })
}

/**
 * The output of "kubectl kustomize" for a folder, for the parts of a kustomization that k8s/ uses.
 * @throws on any other part.
 */
export function build(folder: string): Resource[] {
  const kustomization = parse(readFileSync(join(folder, 'kustomization.yaml'), 'utf8'))
  for (const key of Object.keys(kustomization))
    if (!KNOWN.includes(key)) throw new Error(`${folder}: ${key} is not known here`)
  const resources: Resource[] = kustomization.resources.flatMap((name: string) => {
    const path = join(folder, name)
    return statSync(path).isDirectory() ? build(path) : documents(path)
  })
  for (const { name, files, options } of kustomization.configMapGenerator ?? [])
    resources.push(generate(folder, name, files, options))
  for (const { target, patch } of (kustomization.patches ?? []) as Patch[]) {
    const found = resources.find(({ kind, metadata }) => kind === target.kind && metadata.name === target.name)
    if (!found) throw new Error(`${folder}: there is no ${target.kind} ${target.name} to patch`)
    for (const operation of parse(patch) as Operation[]) apply(found, operation)
  }
  for (const { name, newName = name, newTag } of kustomization.images ?? []) {
    for (const container of resources.flatMap((each) => each.spec?.template?.spec?.containers ?? [])) {
      if (container.image === name) container.image = `${newName}:${newTag}`
    }
  }
  if (kustomization.namespace) {
    for (const { kind, metadata } of resources)
      if (!CLUSTER_WIDE.includes(kind)) metadata.namespace = kustomization.namespace
  }
  return resources
}

function generate(
  folder: string,
  name: string,
  files: string[],
  { labels = {} } = {} as { labels?: object },
): Resource {
  for (const file of files) if (!existsSync(join(folder, file))) throw new Error(`${folder}: there is no ${file}`)
  const data = Object.fromEntries(files.map((file) => [basename(file), readFileSync(join(folder, file), 'utf8')]))
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, labels: { ...labels } }, data }
}

/** Applies one operation of RFC 6902. @throws when replace or remove finds nothing at the path. */
function apply(resource: Resource, { op, path, value }: Operation): void {
  const parts = path.slice(1).split('/')
  const last = parts.pop()!
  // biome-ignore lint/suspicious/noExplicitAny: any shape
  const parent = parts.reduce<any>((at, part) => at?.[part], resource)
  if (parent === undefined || (op !== 'add' && !(last in parent)))
    throw new Error(`nothing at ${path} of ${resource.kind}`)
  if (op !== 'remove') parent[last] = value
  else if (Array.isArray(parent)) parent.splice(Number(last), 1)
  else delete parent[last]
}
