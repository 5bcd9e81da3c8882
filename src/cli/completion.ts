import type { Command } from 'commander'
import { Misused } from './failure.ts'

/** What may follow the words of one command. */
interface Node {
  /** The words of the command, joined by a space; empty for the program. */
  readonly path: string
  readonly commands: readonly string[]
  /** The values that its argument may have. */
  readonly choices: readonly string[]
  readonly options: readonly string[]
}

const SHELLS = { bash, zsh, fish }

/**
 * Prints the script that completes commands and options in bash, zsh or fish.
 * @throws Misused for any other shell.
 */
export function completion(program: Command, shell: string): void {
  if (!Object.hasOwn(SHELLS, shell)) throw new Misused(`there is no completion for ${shell}: bash, zsh or fish`)
  process.stdout.write(SHELLS[shell as keyof typeof SHELLS](nodesOf(program), program))
}

function nodesOf(command: Command, path: readonly string[] = []): Node[] {
  const own: Node = {
    path: path.join(' '),
    commands: command.commands.map((each) => each.name()),
    choices: path.join() === 'completion' ? Object.keys(SHELLS) : [],
    options: [...command.options.map(({ long }) => long ?? ''), '--help'].filter(Boolean),
  }
  return [own, ...command.commands.flatMap((each) => nodesOf(each, [...path, each.name()]))]
}

/** The branches of a shell's case over the path of a command, which set its words and options. */
const cases = (nodes: readonly Node[]): string =>
  nodes
    .map(({ path, commands, choices, options }) => {
      const words = [...commands, ...choices].join(' ')
      return `    '${path}') words='${words}'; options='${options.join(' ')}' ;;`
    })
    .join('\n')

/** The pattern of a shell's case that matches the path of every command. */
const paths = (nodes: readonly Node[]): string =>
  nodes
    .filter(({ path }) => path !== '')
    .map(({ path }) => `'${path}'`)
    .join('|')

function bash(nodes: readonly Node[]): string {
  return `# wsproxy completion bash
_wsproxy() {
  local path='' words='' options='' word current="\${COMP_WORDS[COMP_CWORD]}"
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "\${path:+$path }$word" in ${paths(nodes)}) path="\${path:+$path }$word" ;; esac
  done
  case "$path" in
${cases(nodes)}
  esac
  [[ $current == -* ]] && words=$options
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _wsproxy wsproxy
`
}

function zsh(nodes: readonly Node[]): string {
  return `#compdef wsproxy
_wsproxy() {
  local path_so_far='' words_here='' options='' word
  for word in "\${words[@]:1:$((CURRENT - 2))}"; do
    case "\${path_so_far:+$path_so_far }$word" in
      ${paths(nodes)}) path_so_far="\${path_so_far:+$path_so_far }$word" ;;
    esac
  done
  case "$path_so_far" in
${cases(nodes).replaceAll("words='", "words_here='")}
  esac
  if [[ \${words[CURRENT]} == -* ]]; then compadd -- \${=options}
  elif [[ -n $words_here ]]; then compadd -- \${=words_here}
  else _files; fi
}
if [[ \${funcstack[1]} == _wsproxy ]]; then _wsproxy "$@"; else compdef _wsproxy wsproxy; fi
`
}

function fish(nodes: readonly Node[], program: Command): string {
  const lines = nodes.flatMap(({ path, commands, choices, options }) => {
    const here = `__wsproxy_path '${path}'`
    return [
      ...[...commands, ...choices].map(
        (word) => `complete -c wsproxy -f -n "${here}" -a '${word}'${described(path, word, program)}`,
      ),
      ...options.map((option) => `complete -c wsproxy -n "${here}" -l '${option.slice(2)}'`),
    ]
  })
  return `# wsproxy completion fish
function __wsproxy_path
  set -l path
  for word in (commandline -opc)[2..-1]
    switch (string join ' ' $path $word)
      case ${paths(nodes).replaceAll('|', ' ')}
        set -a path $word
    end
  end
  test "$(string join ' ' $path)" = "$argv[1]"
end
${lines.join('\n')}
`
}

/** The description of a command, for fish, which shows one beside each word. */
function described(path: string, word: string, program: Command): string {
  const find = (from: Command, name: string) => from.commands.find((each) => each.name() === name)
  const parent = path === '' ? program : find(program, path)
  const text = parent && find(parent, word)?.description()
  return text ? ` -d '${text.replaceAll(/['\\]/g, '')}'` : ''
}
