package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"
)

func (s *session) completionCommand() *cli.Command {
	shells := map[string]func(io.Writer, []*cli.Command) error{"bash": bashCompletion, "zsh": zshCompletion, "fish": fishCompletion}
	return &cli.Command{
		Name:      "completion",
		Category:  categoryOther,
		Usage:     "print the completion for a shell",
		ArgsUsage: "bash | zsh | fish",
		UsageText: "director completion bash | zsh | fish",
		Description: `
Prints a script that lets the shell complete commands and flags.

  $ director completion bash > /usr/share/bash-completion/completions/director`,
		Action: func(c *cli.Context) error {
			args, err := arguments(c, 1, 1)
			if err != nil {
				return err
			}
			print, ok := shells[args[0]]
			if !ok {
				return usagef(c, "no completion for shell %q", args[0])
			}
			return print(s.Stdout, s.app().Commands)
		},
	}
}

// words returns the command words that may follow at each place, and the flags of each command, both by the command so far
// ("", "ring", "ring status").
type words struct {
	place string
	next  []*cli.Command
	flags []cli.Flag
}

func completionWords(commands []*cli.Command) []words {
	all := []words{{next: commands}}
	for _, c := range commands {
		all = append(all, words{place: c.Name, next: c.Subcommands, flags: c.Flags})
		for _, sub := range c.Subcommands {
			all = append(all, words{place: c.Name + " " + sub.Name, flags: sub.Flags})
		}
	}
	return all
}

// flagWords returns the flags as they are typed.
func flagWords(flags []cli.Flag) []string {
	var list []string
	for _, f := range flags {
		for _, n := range f.Names() {
			if len(n) == 1 {
				list = append(list, "-"+n)
			} else {
				list = append(list, "--"+n)
			}
		}
	}
	return append(list, "--help")
}

func bashCompletion(w io.Writer, commands []*cli.Command) error {
	var b strings.Builder
	b.WriteString(`# bash completion for director
_director() {
	local cur=${COMP_WORDS[COMP_CWORD]} place= word i words= files=
	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		case $word in
		-a | --addr) ((i++)) ;;
		-*) ;;
		*) case "$place $word" in
`)
	for _, p := range completionWords(commands) {
		for _, c := range p.next {
			fmt.Fprintf(&b, "\t\t\t%q) place=%q ;;\n", p.place+" "+c.Name, strings.TrimSpace(p.place+" "+c.Name))
		}
	}
	b.WriteString("\t\t\tesac ;;\n\t\tesac\n\tdone\n\tcase $place in\n")
	for _, p := range completionWords(commands) {
		list := names(p.next)
		if p.place != "" && p.next == nil {
			list = flagWords(p.flags)
		}
		fmt.Fprintf(&b, "\t%q) words=%q ;;\n", p.place, strings.Join(list, " "))
	}
	b.WriteString(`	esac
	case ${COMP_WORDS[COMP_CWORD - 1]} in
	-f | --file | --config | --encrypt-key-file | --run-dir | -a | --addr) files=1 ;;
	esac
	if [ -n "$files" ]; then
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
	else
		mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
	fi
}
complete -o filenames -F _director director
`)
	_, err := io.WriteString(w, b.String())
	return err
}

func zshCompletion(w io.Writer, commands []*cli.Command) error {
	var b strings.Builder
	b.WriteString(`#compdef director
# zsh completion for director
_director() {
	local place= word i
	local -a items
	for ((i = 2; i < CURRENT; i++)); do
		word=$words[i]
		case $word in
		-a|--addr) ((i++)) ;;
		-*) ;;
		*) case "$place $word" in
`)
	for _, p := range completionWords(commands) {
		for _, c := range p.next {
			fmt.Fprintf(&b, "\t\t\t%q) place=%q ;;\n", p.place+" "+c.Name, strings.TrimSpace(p.place+" "+c.Name))
		}
	}
	b.WriteString("\t\t\tesac ;;\n\t\tesac\n\tdone\n\tcase $place in\n")
	for _, p := range completionWords(commands) {
		fmt.Fprintf(&b, "\t%q) items=(", p.place)
		if p.place == "" || p.next != nil {
			for _, c := range p.next {
				fmt.Fprintf(&b, "\n\t\t%s", quote(c.Name+":"+c.Usage))
			}
		} else {
			for _, word := range flagWords(p.flags) {
				fmt.Fprintf(&b, "\n\t\t%s", quote(word))
			}
		}
		b.WriteString("\n\t\t) ;;\n")
	}
	b.WriteString(`	esac
	case $words[CURRENT-1] in
	-f|--file|--config|--encrypt-key-file|--run-dir|-a|--addr) _files; return ;;
	esac
	_describe director items
}
if [ "$funcstack[1]" = _director ]; then
	_director "$@"
else
	compdef _director director
fi
`)
	_, err := io.WriteString(w, b.String())
	return err
}

func fishCompletion(w io.Writer, commands []*cli.Command) error {
	var b strings.Builder
	b.WriteString("# fish completion for director\ncomplete -c director -f\n")
	for _, c := range commands {
		fmt.Fprintf(&b, "complete -c director -n __fish_use_subcommand -a %s -d %s\n", c.Name, quote(c.Usage))
		fishFlags(&b, "__fish_seen_subcommand_from "+c.Name, c.Flags)
		for _, sub := range c.Subcommands {
			fmt.Fprintf(&b, "complete -c director -n %s -a %s -d %s\n",
				quote("__fish_seen_subcommand_from "+c.Name+"; and not __fish_seen_subcommand_from "+strings.Join(names(c.Subcommands), " ")),
				sub.Name, quote(sub.Usage))
			fishFlags(&b, "__fish_seen_subcommand_from "+c.Name+"; and __fish_seen_subcommand_from "+sub.Name, sub.Flags)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func fishFlags(b *strings.Builder, when string, flags []cli.Flag) {
	for _, f := range flags {
		fmt.Fprintf(b, "complete -c director -n %s", quote(when))
		for _, n := range f.Names() {
			if len(n) == 1 {
				fmt.Fprintf(b, " -s %s", n)
			} else {
				fmt.Fprintf(b, " -l %s", n)
			}
		}
		if takesValue(f) {
			b.WriteString(" -r -F")
		}
		fmt.Fprintf(b, " -d %s\n", quote(flagUsage(f)))
	}
}
