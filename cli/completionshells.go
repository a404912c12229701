package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"
)

func bashCompletion(w io.Writer, commands []*cli.Command) error {
	paths, chosen, others := valueFlags(commands)
	var b strings.Builder
	fmt.Fprintf(&b, `# bash completion for director

# What a director names in the first column.
_director_ask() {
	"${COMP_WORDS[0]}" "$@" 2>/dev/null | { read -r _ && while read -r word _; do echo "$word"; done; }
}

_director() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} place= args=0 word i words= files=
	local -a addr=()
	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		case $word in
		-a | --addr) addr=(-a "${COMP_WORDS[++i]}") ;;
		%s) ((i++)) ;;
		-*) ;;
		*) case "$place $word" in
`, strings.Join(append(append(paths[:len(paths):len(paths)], chosen...), others...), " | "))
	for _, p := range completionWords(commands) {
		for _, c := range p.next {
			fmt.Fprintf(&b, "\t\t\t%q) place=%q ;;\n",
				p.command+" "+c.Name, strings.TrimSpace(p.command+" "+c.Name))
		}
	}
	b.WriteString("\t\t\t*) ((args++)) ;;\n\t\t\tesac ;;\n\t\tesac\n\tdone\n\tcase $place in\n")
	for _, p := range completionWords(commands) {
		list := names(p.next)
		if p.command != "" && p.next == nil {
			list = flagWords(p.flags)
		}
		fmt.Fprintf(&b, "\t%q) words=%q ;;\n", p.command, strings.Join(list, " "))
	}
	b.WriteString("\tesac\n\tcase $cur in\n\t-*) ;;\n\t*) case \"$place $args\" in\n")
	for _, a := range argumentWords {
		fmt.Fprintf(&b, "\t\t%q) words=%s ;;\n", a.command, bashWords(a.words))
	}
	b.WriteString("\t\tesac ;;\n\tesac\n\tcase $prev in\n")
	fmt.Fprintf(&b, "\t%s) files=1 ;;\n", strings.Join(paths, " | "))
	for _, flag := range chosen {
		fmt.Fprintf(&b, "\t%s) words=%q ;;\n", flag, choices[strings.TrimLeft(flag, "-")])
	}
	fmt.Fprintf(&b, "\t%s) words= ;;\n", strings.Join(others, " | "))
	b.WriteString(`	esac
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

// bashWords writes words of argumentWords, whose query in parentheses is asked when it is needed.
func bashWords(words string) string {
	before, query, found := strings.Cut(strings.TrimSuffix(words, ")"), "(")
	if !found {
		return fmt.Sprintf("%q", words)
	}
	return fmt.Sprintf(`"%s$(_director_ask "${addr[@]}" %s)"`, before, query)
}

func zshCompletion(w io.Writer, commands []*cli.Command) error {
	paths, chosen, others := valueFlags(commands)
	var b strings.Builder
	fmt.Fprintf(&b, `#compdef director
# zsh completion for director

# What a director names in the first column.
_director_ask() {
	"$words[1]" "$@" 2>/dev/null | awk 'NR > 1 { print $1 }'
}

_director() {
	local place= word i args=0
	local -a items addr
	for ((i = 2; i < CURRENT; i++)); do
		word=$words[i]
		case $word in
		-a|--addr) ((i++)); addr=(-a "$words[i]") ;;
		%s) ((i++)) ;;
		-*) ;;
		*) case "$place $word" in
`, strings.Join(append(append(paths[:len(paths):len(paths)], chosen...), others...), "|"))
	for _, p := range completionWords(commands) {
		for _, c := range p.next {
			fmt.Fprintf(&b, "\t\t\t%q) place=%q ;;\n",
				p.command+" "+c.Name, strings.TrimSpace(p.command+" "+c.Name))
		}
	}
	b.WriteString("\t\t\t*) ((args++)) ;;\n\t\t\tesac ;;\n\t\tesac\n\tdone\n\tcase $place in\n")
	for _, p := range completionWords(commands) {
		fmt.Fprintf(&b, "\t%q) items=(", p.command)
		if p.command == "" || p.next != nil {
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
	b.WriteString("\tesac\n\tcase $words[CURRENT-1] in\n")
	fmt.Fprintf(&b, "\t%s) _files; return ;;\n", strings.Join(paths, "|"))
	for _, flag := range chosen {
		fmt.Fprintf(&b, "\t%s) compadd %s; return ;;\n", flag, choices[strings.TrimLeft(flag, "-")])
	}
	fmt.Fprintf(&b, "\t%s) return ;;\n\tesac\n", strings.Join(others, "|"))
	b.WriteString("\tif [[ $words[CURRENT] != -* ]]; then\n\t\tcase \"$place $args\" in\n")
	for _, a := range argumentWords {
		before, query, found := strings.Cut(strings.TrimSuffix(a.words, ")"), "(")
		if found {
			before += fmt.Sprintf(`$(_director_ask $addr %s)`, query)
		}
		fmt.Fprintf(&b, "\t\t%q) compadd -- %s; return ;;\n", a.command, before)
	}
	b.WriteString(`		esac
	fi
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
	b.WriteString(`# fish completion for director

# What a director names in the first column.
function __director_ask
	set -l words (commandline -opc)
	set -l addr
	for i in (seq (count $words))
		if contains -- $words[$i] -a --addr
			set addr -a $words[(math $i + 1)]
		end
	end
	$words[1] $addr $argv 2>/dev/null | awk 'NR > 1 { print $1 }'
end

complete -c director -f
`)
	for _, c := range commands {
		fmt.Fprintf(&b, "complete -c director -n __fish_use_subcommand -a %s -d %s\n",
			c.Name, quote(c.Usage))
		fishFlags(&b, "__fish_seen_subcommand_from "+c.Name, c.Flags)
		for _, sub := range c.Subcommands {
			fmt.Fprintf(&b, "complete -c director -n %s -a %s -d %s\n",
				quote("__fish_seen_subcommand_from "+c.Name+"; and not "+
					"__fish_seen_subcommand_from "+strings.Join(names(c.Subcommands), " ")),
				sub.Name, quote(sub.Usage))
			fishFlags(&b,
				"__fish_seen_subcommand_from "+c.Name+"; and __fish_seen_subcommand_from "+sub.Name,
				sub.Flags)
		}
	}
	for _, a := range argumentWords {
		place := a.command[:strings.LastIndexByte(a.command, ' ')]
		when := "__fish_seen_subcommand_from " + strings.ReplaceAll(place, " ",
			"; and __fish_seen_subcommand_from ")
		for _, c := range commands {
			// "ring remove" is not "remove"
			if place != c.Name && find(c.Subcommands, place) != nil {
				when += "; and not __fish_seen_subcommand_from " + c.Name
			}
		}
		before, query, found := strings.Cut(strings.TrimSuffix(a.words, ")"), "(")
		if found {
			before += "(__director_ask " + query + ")"
		}
		fmt.Fprintf(&b, "complete -c director -n %s -a %s\n", quote(when), quote(before))
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
		paths, chosen, others := valueFlags([]*cli.Command{{Flags: []cli.Flag{f}}})
		switch {
		case len(paths) > 0:
			b.WriteString(" -r -F")
		case len(chosen) > 0:
			fmt.Fprintf(b, " -x -a %s", quote(choices[f.Names()[0]]))
		case len(others) > 0:
			b.WriteString(" -x")
		}
		fmt.Fprintf(b, " -d %s\n", quote(flagUsage(f)))
	}
}
