package cli

import (
	"io"
	"slices"

	"github.com/urfave/cli/v2"
)

func (inv *invocation) completionCommand() *cli.Command {
	shells := map[string]func(io.Writer, []*cli.Command) error{
		"bash": bashCompletion, "zsh": zshCompletion, "fish": fishCompletion,
	}
	return &cli.Command{
		Name:      "completion",
		Category:  categoryOther,
		Usage:     "print the completion for a shell",
		ArgsUsage: "bash | zsh | fish",
		UsageText: "director completion bash | zsh | fish",
		Description: `
Prints a script with which the shell completes commands, flags, values, and backends, which it
asks the director for.

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
			return print(inv.Stdout, inv.app().Commands)
		},
	}
}

// words returns the command words that may follow each command, and the flags of each command,
// both by the command so far ("", "ring", "ring status").
type words struct {
	command string
	next    []*cli.Command
	flags   []cli.Flag
}

func completionWords(commands []*cli.Command) []words {
	all := []words{{next: commands}}
	for _, c := range commands {
		all = append(all, words{command: c.Name, next: c.Subcommands, flags: c.Flags})
		for _, sub := range c.Subcommands {
			all = append(all, words{command: c.Name + " " + sub.Name, flags: sub.Flags})
		}
	}
	return all
}

// flagWords returns the flags as they are typed.
func flagWords(flags []cli.Flag) []string {
	var list []string
	for _, f := range flags {
		list = append(list, typed(f)...)
	}
	return append(list, "--help")
}

// choices are the values of flags that have few, by name.
var choices = map[string]string{
	"log-level": "debug info warn error", "log-format": "json text",
	"door": "authreply http login userdb",
}

// takesPath says that the value of a flag is a path, or may be one.
func takesPath(f cli.Flag) bool {
	switch f.Names()[0] {
	case "addr", "file", "from", "kick-command":
		return true
	}
	s, ok := f.(*cli.StringFlag)
	return ok && slices.Contains([]string{"PATH", "FILE", "DIR"}, s.DefaultText)
}

// argumentWords are what may stand as an argument, by the command and how many arguments come
// before. A word in parentheses is a query: the first column of what it prints.
var argumentWords = []struct{ command, words string }{
	{"update 0", "(status)"}, {"remove 0", "(status)"}, {"up 0", "(status)"},
	{"down 0", "(status)"}, {"map 0", "(status)"}, {"drain 0", "(status)"},
	{"undrain 0", "(status)"},
	{"plan update 0", "(status)"}, {"plan remove 0", "(status)"},
	{"plan up 0", "(status)"}, {"plan down 0", "(status)"}, {"plan drain 0", "(status)"},
	{"plan undrain 0", "(status)"}, {"plan flush 0", "all (status)"},
	{"plan pin 1", "(status)"},
	{"flush 0", "all (status)"}, {"move 1", "(status)"}, {"pin 1", "(status)"},
	{"ring remove 0", "(ring status)"},
	{"completion 0", "bash zsh fish"}, {"man 0", "director director.yaml"},
}

// valueFlags are all flags that take a value, as they are typed: those whose values are paths,
// those with choices and the others.
func valueFlags(commands []*cli.Command) (paths, chosen, others []string) {
	seen := make(map[string]bool)
	for _, p := range completionWords(commands) {
		for _, f := range p.flags {
			if !takesValue(f) {
				continue
			}
			for _, word := range typed(f) {
				switch name := f.Names()[0]; {
				case seen[word]:
				case takesPath(f):
					paths = append(paths, word)
				case choices[name] != "":
					chosen = append(chosen, word)
				default:
					others = append(others, word)
				}
				seen[word] = true
			}
		}
	}
	return paths, chosen, others
}

// typed returns a flag as it is typed.
func typed(f cli.Flag) []string {
	var list []string
	for _, n := range f.Names() {
		if len(n) == 1 {
			list = append(list, "-"+n)
		} else {
			list = append(list, "--"+n)
		}
	}
	return list
}
