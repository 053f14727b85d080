import type { Command, Option } from 'commander';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

/** One command with what may stand behind it. */
interface Node {
  /** Words from the program's name on, e.g. `['device', 'show']`. */
  path: string[];
  description: string;
  children: Node[];
  options: { flags: string[]; takesValue: boolean; description: string }[];
}

/** The completion script for a shell, made from the commands as they are. */
export function completionScript(program: Command, shell: Shell): string {
  const root = describe(program, []);
  if (shell === 'bash') return bash(program.name(), root);
  return shell === 'zsh' ? zsh(program.name(), root) : fish(program.name(), root);
}

function describe(command: Command, path: string[]): Node {
  return {
    path,
    description: oneLine(command.description()),
    children: command.commands.map((child) => describe(child, [...path, child.name()])),
    options: command.options.filter((option) => !option.hidden).map(describeOption),
  };
}

function describeOption(option: Option): Node['options'][number] {
  const flags = [option.short, option.long].filter((flag): flag is string => typeof flag === 'string');
  return { flags, takesValue: option.required || option.optional, description: oneLine(option.description) };
}

const oneLine = (text: string) => text.replace(/\s+/g, ' ').trim();

const flatten = (node: Node): Node[] => [node, ...node.children.flatMap(flatten)];
const flagsOf = (nodes: readonly Node[]) => [...new Set(nodes.flatMap((node) => node.options.flatMap((o) => o.flags)))];
const valueFlags = (nodes: readonly Node[]) => [
  ...new Set(nodes.flatMap((node) => node.options.flatMap((option) => (option.takesValue ? option.flags : [])))),
];

/**
 * The walk over the words that were typed, as bash and zsh both read it: `route` is the command that is reached (`path` is
 * the search path in zsh), `skip` says that an option's value comes.
 */
function walk(nodes: readonly Node[], words: string, count: string, first: number): string {
  const commands = nodes.filter((node) => node.path.length > 0).map((node) => `'${node.path.join(' ')}'`);
  const valued = valueFlags(nodes);
  return `  local route='' skip='' word i
  for ((i = ${first}; i < ${count}; i++)); do
    word="\${${words}[i]}"
    if [[ -n $skip ]]; then skip=''; continue; fi
    case "$word" in
      ${valued.length === 0 ? "''" : valued.join('|')}) skip=1; continue ;;
      -*) continue ;;
    esac
    case "\${route:+$route }$word" in
      ${commands.join('|')}) route="\${route:+$route }$word" ;;
    esac
  done
  if [[ -n $skip ]]; then return 1; fi
`;
}

function bash(name: string, root: Node): string {
  const nodes = flatten(root);
  const cases = nodes.map((node) => {
    const words = [...node.children.map((child) => child.path.at(-1)), ...flagsOf([node, root]), '--help'];
    return `    '${node.path.join(' ')}') words='${words.join(' ')}' ;;`;
  });
  return `# Completion of ${name} for bash: source <(${name} completion bash)
_${name}() {
  local current="\${COMP_WORDS[COMP_CWORD]}" words=''
  COMPREPLY=()
${walk(nodes, 'COMP_WORDS', 'COMP_CWORD', 1)}  case "$route" in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _${name} ${name}
`;
}

function zsh(name: string, root: Node): string {
  const nodes = flatten(root);
  const quote = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;
  const item = (word: string, text: string) => quote(`${word.replaceAll(':', '\\:')}:${text.replaceAll(':', '\\:')}`);
  const cases = nodes.map((node) => {
    const children = node.children.map((child) => item(child.path.at(-1) as string, child.description));
    const options = [...node.options, ...root.options].flatMap(({ flags, description }) =>
      flags.map((flag) => item(flag, description)),
    );
    return `    '${node.path.join(' ')}') candidates=(${[...new Set([...children, ...options])].join(' ')}) ;;`;
  });
  return `#compdef ${name}
# Completion of ${name} for zsh: put this into a folder of $fpath as _${name}
_${name}() {
  local -a candidates
${walk(nodes, 'words', 'CURRENT', 2)}  case "$route" in
${cases.join('\n')}
  esac
  _describe -t commands ${name} candidates || _files
}
compdef _${name} ${name}
`;
}

function fish(name: string, root: Node): string {
  const quote = (text: string) => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
  const lines = flatten(root).flatMap((node) => {
    const children = node.children.map((child) => child.path.at(-1));
    const when = [
      ...node.path.map((word) => `__fish_seen_subcommand_from ${word}`),
      ...(children.length === 0 ? [] : [`not __fish_seen_subcommand_from ${children.join(' ')}`]),
    ].join('; and ');
    const condition = when === '' ? '' : ` -n ${quote(when)}`;
    return [
      ...node.children.map(
        (child) => `complete -c ${name} -f${condition} -a ${child.path.at(-1)} -d ${quote(child.description)}`,
      ),
      ...node.options.map(({ flags, takesValue, description }) => {
        const names = flags.map((flag) => (flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`));
        const where = node.path.length === 0 ? '' : condition;
        return `complete -c ${name}${where} ${names.join(' ')}${takesValue ? ' -r' : ''} -d ${quote(description)}`;
      }),
    ];
  });
  return `# Completion of ${name} for fish: ${name} completion fish > ~/.config/fish/completions/${name}.fish\n${lines.join('\n')}\n`;
}
